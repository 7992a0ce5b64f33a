// The event model's recurrences: the cycle of every transfer in a network of units; rtl_gen/cycles.py calls them.
//
// Every unit is a recurrence over the cycles of its events, with the constants of the hardware. `advance` goes on until
// the unit needs an event that is not known yet; the units take turns. A new kind of unit is a struct here, which names
// its links and says how far back it looks (`Link::keep`), and a function at the end that adds it.
//
// One thread per model. Cycles and word numbers count from 0 and are never reset between inferences.
//
// Between two inferences, when nothing moves any more, the model has a state: the cycles of past events that later ones
// depend on. Everything later is a function of it, the same after every inference, of maxima and sums with constants.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using Cycle = int64_t;

// Earlier than any event; a sum of some cycles with it is so too.
constexpr Cycle NEVER = -(Cycle{1} << 60);

// The last values of a growing sequence: as many as somebody looks back.
class Recent {
  public:
    void keep(int64_t count) {
        if (count <= kept()) return;
        const int64_t oldest = std::max<int64_t>(0, count_ - kept());
        std::vector<Cycle> before = std::move(values_);
        size_t size = before.size();
        while (static_cast<int64_t>(size) < count) size *= 2;
        values_.assign(size, 0);
        for (int64_t i = oldest; i < count_; ++i) values_[i & (kept() - 1)] = before[i & (before.size() - 1)];
    }
    int64_t count() const { return count_; }
    int64_t kept() const { return static_cast<int64_t>(values_.size()); }
    Cycle last() const { return count_ > 0 ? values_[(count_ - 1) & (kept() - 1)] : -1; }
    void push(Cycle value) { values_[count_++ & (kept() - 1)] = value; }
    void replace(int64_t index, Cycle value) { values_[index & (kept() - 1)] = value; }
    Cycle operator[](int64_t index) const {
        if (index < 0 || index >= count_ || index < count_ - kept()) throw std::logic_error("an event that is not kept");
        return values_[index & (kept() - 1)];
    }

  private:
    std::vector<Cycle> values_ = std::vector<Cycle>(64);  // the size is a power of two
    int64_t count_ = 0;
};

// Reads the model's state, or puts another in its place: every unit tells it of its part, in the same order.
class State {
  public:
    explicit State(std::vector<Cycle>& values, bool replaces) : values_(values), replaces_(replaces) {}

    // A cycle. As late as `floor` it makes no difference to any later event, so that it counts as `floor`.
    void cycle(Cycle& value, Cycle floor = NEVER) {
        if (replaces_) {
            value = values_.at(at_++);
        } else {
            values_.push_back(std::max(value, floor));
        }
    }
    // Those of a sequence from `begin` to `end`; before its first it has events that make no difference.
    void cycles(Recent& sequence, int64_t begin, int64_t end, Cycle floor) {
        for (int64_t i = begin; i < end; ++i) {
            Cycle value = i < 0 ? floor : sequence[i];
            cycle(value, floor);
            if (replaces_ && i >= 0) sequence.replace(i, value);
        }
    }
    void newest(Recent& sequence) { cycles(sequence, sequence.count() - 1, sequence.count(), NEVER); }

  private:
    std::vector<Cycle>& values_;
    bool replaces_;
    size_t at_ = 0;
};

struct Unit;

// Words between two units: `base[j]` is the first cycle in which word j can be offered, `taken[j]` its transfer.
struct Link {
    Recent base, taken;
    int64_t every;  // the transfer of each `every`-th word is recorded
    int64_t unrecorded = 0;
    Cycle first = -1;  // the first transfer
    std::vector<Cycle> recorded;
    std::vector<Unit*> ends;

    explicit Link(int64_t every) : every(every) {}
    void keep(int64_t words) {
        base.keep(words);
        taken.keep(words);
    }
    void offer(Cycle cycle) { base.push(cycle); }
    void take(Cycle cycle) {
        if (taken.count() == 0) first = cycle;
        taken.push(cycle);
        if (++unrecorded == every) {
            recorded.push_back(cycle);
            unrecorded = 0;
        }
    }
    bool offered() const { return taken.count() < base.count(); }  // a word that has not been taken
    Cycle next() const { return base[taken.count()]; }             // when that word is offered
};

// What a unit does in each of some stretches of time, all of one length: cycles in which it makes a step, and in which it
// waits for a word on a link, to come or to be taken.
struct Activity {
    Cycle from, length;
    int64_t stretches;
    std::vector<Cycle> works;
    std::vector<std::vector<Cycle>> waits;  // by link, as the unit numbers them

    void add(std::vector<Cycle>& to, Cycle begin, Cycle end) const {
        begin = std::max(begin, from);
        end = std::min(end, from + length * stretches);
        while (begin < end) {
            const int64_t stretch = (begin - from) / length;
            const Cycle until = std::min(end, from + (stretch + 1) * length);
            to[static_cast<size_t>(stretch)] += until - begin;
            begin = until;
        }
    }
};

struct Unit {
    std::vector<Link*> links;
    bool awake = true;  // whether anything has happened on its links since it last could not go on
    std::unique_ptr<Activity> activity;

    explicit Unit(std::vector<Link*> given) : links(std::move(given)) {
        for (Link* link : links) link->ends.push_back(this);
    }
    virtual ~Unit() = default;
    virtual bool advance() = 0;  // whether any event was added
    // What later events depend on beside the last transfer on each link.
    virtual void tell(State&) {}

    // From the cycle `begin` to that before `end` it makes steps, or waits for a link.
    void works(Cycle begin, Cycle end) {
        if (activity && begin < end) activity->add(activity->works, begin, end);
    }
    void waits(const Link& link, Cycle begin, Cycle end) {
        if (!activity || begin >= end) return;
        const auto place = std::find(links.begin(), links.end(), &link) - links.begin();
        activity->add(activity->waits[static_cast<size_t>(place)], begin, end);
    }
    // From `begin` on it waits for a word to come at `arrival`, then for room on its output, and works in `cycle`.
    void waits_and_works(const Link& input, const Link& output, Cycle begin, Cycle arrival, Cycle cycle) {
        if (!activity) return;
        arrival = std::clamp(arrival, begin, cycle);
        waits(input, begin, arrival);
        waits(output, arrival, cycle);
        works(cycle, cycle + 1);
    }

    bool turn() {
        if (!awake) return false;
        awake = false;
        if (!advance()) return false;
        for (Link* link : links) {
            for (Unit* end : link->ends) end->awake = true;
        }
        return true;
    }
};

// Offers a word in every cycle, so many in all; the first is offered in cycle 0, the others are always there.
struct Source final : Unit {
    Link& o;
    int64_t words;

    Source(Link& o, int64_t words) : Unit({&o}), o(o), words(words) {}

    bool advance() override {
        const int64_t before = o.base.count();
        const int64_t end = std::min(words, o.taken.count() + o.base.kept());
        while (o.base.count() < end) o.offer(o.base.count() == 0 ? 0 : NEVER);
        return o.base.count() > before;
    }
};

// Takes every word at once.
struct Sink final : Unit {
    Link& i;

    explicit Sink(Link& i) : Unit({&i}), i(i) {}

    bool advance() override {
        const bool moved = i.offered();
        while (i.offered()) i.take(std::max(i.next(), i.taken.last() + 1));
        return moved;
    }
};

// One wide word at a time (rtl_gen.stream.Splitter).
struct Splitter final : Unit {
    Link &i, &o;
    int64_t parts;

    Splitter(Link& i, Link& o, int64_t parts) : Unit({&i, &o}), i(i), o(o), parts(parts) { o.keep(parts); }

    bool advance() override {
        bool moved = false;
        while (i.offered() && !o.offered()) {
            i.take(std::max(i.next(), o.taken.last() + 1));
            for (int64_t part = 0; part < parts; ++part) o.offer(i.taken.last() + 1);
            moved = true;
        }
        return moved;
    }
};

// Narrow words to wide ones (rtl_gen.stream.Gatherer): a word's last part is accepted when the word before has left.
struct Gatherer final : Unit {
    Link &i, &o;
    int64_t parts, part = 0;

    Gatherer(Link& i, Link& o, int64_t parts) : Unit({&i, &o}), i(i), o(o), parts(parts) {}

    bool advance() override {
        bool moved = false;
        for (; i.offered(); moved = true) {
            Cycle cycle = std::max(i.next(), i.taken.last() + 1);
            if (part == parts - 1) {
                if (o.offered()) break;
                cycle = std::max(cycle, o.taken.last() + 1);
                o.offer(cycle + 1);
                part = -1;
            }
            i.take(cycle);
            ++part;
        }
        return moved;
    }
};

// Every word to all readers at once (rtl_gen.fork.Fork): it is taken when the last of them takes it.
struct Fork final : Unit {
    Link& i;
    std::vector<Link*> o;
    std::vector<Unit*> readers;

    Fork(Link& i, std::vector<Link*> o) : Unit(o), i(i), o(std::move(o)) {
        links.push_back(&i);
        i.ends.push_back(this);
    }
    void find_readers() {
        for (const Link* link : o) {
            for (Unit* end : link->ends) {
                if (end != this) readers.push_back(end);
            }
        }
    }

    bool advance() override {
        for (bool moved = false;; moved = true) {
            const int64_t word = i.taken.count();
            if (o[0]->base.count() == word) {
                if (!i.offered()) return moved;
                if (readers.empty()) find_readers();
                const Cycle cycle = std::max(i.next(), i.taken.last() + 1);
                for (Link* reader : o) reader->offer(cycle);
                for (Unit* unit : readers) {  // at once, so that many words pass in a turn
                    unit->awake = true;
                    unit->turn();
                }
            } else {
                Cycle cycle = 0;
                const Link* slowest = o[0];
                for (const Link* reader : o) {
                    if (reader->offered()) return moved;
                    if (reader->taken.last() > cycle) slowest = reader;
                    cycle = std::max(cycle, reader->taken.last());
                }
                waits(*slowest, std::max(i.next(), i.taken.last() + 1), cycle);
                i.take(cycle);
            }
        }
    }
};

// A FIFO of `depth` words in all (rtl_gen.fifo.Fifo), or without an end; it also finds how many words it ever holds.
struct Fifo final : Unit {
    Link &i, &o;
    int64_t depth, latency;  // a negative depth has no end
    struct Held {
        int64_t most = 0;
        std::deque<Cycle> came, left;  // of the words that do not count in `most` yet, and of what has left since
        int64_t counted = 0, gone = 0;  // words that count, words that left before them
    } held, kept;
    int64_t seen = 0;  // words seen leaving

    Fifo(Link& i, Link& o, int64_t depth, int64_t latency)
        : Unit({&i, &o}), i(i), o(o), depth(depth), latency(latency) {
        resize(depth);
    }
    void resize(int64_t words) {
        depth = words;
        o.keep(depth + 3);
        awake = true;
    }
    bool full() const { return depth >= 0 && i.taken.count() - o.taken.count() >= depth; }

    // taken[j] = max(base[j], taken[j-1] + 1, left[j - depth] + 1)
    bool advance() override {
        bool moved = false;
        for (; i.offered() && !full(); moved = true) {
            const int64_t word = i.taken.count();
            Cycle cycle = std::max(i.next(), i.taken.last() + 1);
            const Cycle ready = cycle;
            if (depth >= 0 && word >= depth) cycle = std::max(cycle, o.taken[word - depth] + 1);
            waits(o, ready, cycle);
            i.take(cycle);
            if (o.base.count() - o.taken.count() + 2 >= o.base.kept()) o.keep(2 * o.base.kept());
            o.offer(cycle + latency);
            held.came.push_back(cycle);
        }
        count_held();
        return moved;
    }

    // A word is held with all before it but those that left before the cycle of its acceptance.
    void count_held() {
        auto& [most, came, left, counted, gone] = held;
        for (; seen < o.taken.count(); ++seen) left.push_back(o.taken[seen]);
        for (; !came.empty(); came.pop_front()) {
            for (; !left.empty() && left.front() < came.front(); left.pop_front()) ++gone;
            if (left.empty()) return;  // more may leave before it
            most = std::max(most, ++counted - gone);
        }
    }

    void tell(State& state) override {
        if (depth > 0) state.cycles(o.taken, o.taken.count() - depth, o.taken.count() - 1, i.taken.last());
    }
};

// A logit is offered, taken, then the next is accepted; the index follows the last (rtl_gen.argmax.Argmax).
struct Argmax final : Unit {
    Link &i, &o;
    int64_t classes;

    Argmax(Link& i, Link& o, int64_t classes) : Unit({&i, &o}), i(i), o(o), classes(classes) {}

    bool advance() override {
        bool moved = false;
        while (i.offered() && !o.offered()) {
            const Cycle begin = o.taken.last() + 1;
            i.take(std::max(i.next(), begin));
            o.offer(i.taken.last() + 1);
            const bool last = i.taken.count() % classes == 0;
            if (last) o.offer(i.taken.last() + 4);
            waits(i, begin, i.taken.last());
            works(i.taken.last(), i.taken.last() + (last ? 5 : 2));
            moved = true;
        }
        return moved;
    }
};

// Constants of a stage; the tables have an entry per output position, words are counted from the volume's start.
struct StageShape {
    int64_t collect;  // input words that make a ring word
    int64_t ring;     // ring words
    int64_t volume;   // ring words of an inference
    int64_t groups;   // results of a position
    int64_t words;    // output words of a result
    int64_t queue;    // output words that the queue holds
    int64_t latency;  // from the issue of a result's last step to the push of its first word
    std::vector<int64_t> needs, releases, steps;
    int64_t pace = 1;  // cycles of a step, and of a ring word that is accepted, at the least

    int64_t positions() const { return static_cast<int64_t>(needs.size()); }
};

// An output position, numbered through all inferences.
struct Position {
    int64_t number = 0, index = 0, origin = 0;  // of all, in its volume; first ring word of the volume

    void next(const StageShape& shape) {
        ++number;
        if (++index == shape.positions()) {
            index = 0;
            origin += shape.volume;
        }
    }
};

// Whether an output word has left the queue's memory: freed[j] = max(base[j] - 1, taken[j-1]), as soon as the output
// register is empty or being taken.
bool is_freed(const Link& o, int64_t j) { return j <= o.taken.count(); }
Cycle freed(const Link& o, int64_t j) { return j > 0 ? std::max(o.base[j] - 1, o.taken[j - 1]) : o.base[0] - 1; }

// The output word that must have left the queue before a result's words can be sent to it; negative when none must.
int64_t awaited(const Link& o, int64_t words, int64_t queue) { return o.base.count() + words - queue - 1; }

// What is asked of `freed` later: of the words that leave the queue. As late as `floor` it makes no difference.
void tell_freed(State& state, Link& o, int64_t queue, Cycle floor) {
    const int64_t end = o.taken.count();
    state.cycles(o.base, end - queue, end, floor + 1);
    state.cycles(o.taken, end - queue - 1, end - 1, floor);
}

// What reads its words in a ring, position by position (rtl_gen.ring_unit.RingUnit); what a position does differs.
struct Ringed : Unit {
    Link &i, &o;
    StageShape shape;
    Recent finished;          // cycle in which a position's last step is issued
    Position releaser;        // the first position that releases enough for the next word to be accepted
    int64_t word = 0, part = 0;  // ring word and its part that are accepted next
    Position at;              // the position that is issued
    Cycle take = -1;          // when the one before was
    int64_t releasing = 0;    // positions before an inference that release what it needs room for
    Cycle refill;             // cycles from a position's last step to the acceptance of a word in a slot that it releases

    Ringed(Link& i, Link& o, StageShape given, Cycle refill)
        : Unit({&i, &o}), i(i), o(o), shape(std::move(given)), refill(refill) {
        i.keep(shape.collect * (shape.ring + 1));
        o.keep(shape.queue + shape.words + 1);
        finished.keep(shape.positions() * (shape.ring / shape.volume + 2));
        for (int64_t end = shape.volume; end - shape.ring < shape.volume; end += shape.volume) {
            for (int64_t release : shape.releases) releasing += release > end - shape.ring;
        }
    }

    // taken[j] = max(base[j], taken[j-1] + 1, last step of the position that releases its slot + refill)
    bool accept() {
        const int64_t before = i.taken.count();
        while (i.offered()) {
            Cycle cycle = std::max(i.next(), i.taken.last() + (shape.collect == 1 ? shape.pace : 1));
            const int64_t released = word - shape.ring + 1;
            if (released > 0) {
                while (releaser.origin + shape.releases[releaser.index] < released) releaser.next(shape);
                if (releaser.number >= finished.count()) break;
                cycle = std::max(cycle, finished[releaser.number] + refill);
            }
            i.take(cycle);
            if (++part == shape.collect) {
                part = 0;
                ++word;
            }
        }
        return i.taken.count() > before;
    }

    void tell(State& state) override {
        const int64_t end = finished.count();
        state.cycles(finished, end - releasing, end - 1, i.taken.last() + 1 - refill);
        tell_freed(state, o, shape.queue, finished.last() - 2);
        state.cycle(take, finished.last() - 2);
        state.newest(finished);
    }
};

// A windowed stage.
struct Stage final : Ringed {
    int64_t group = 0;    // the next result of its position
    bool loaded = false;  // whether that one's inputs are there and it has been taken
    Cycle start = 0;
    Cycle passed = 0;  // at two cycles a step: when the last one became pending, where it waits for its turn

    Stage(Link& i, Link& o, StageShape given) : Ringed(i, o, std::move(given), 4) {}

    // The gate: a position's inputs are there, and the position before it is in its last step or done.
    bool load() {
        const int64_t last = (at.origin + shape.needs[at.index]) * shape.collect - 1;
        if (last >= i.taken.count()) return false;
        const Cycle come = std::max(i.taken[last] + 2, take) + 1;
        if (shape.pace == 1) {
            take = std::max(come, finished.last());
            start = take + 1;
        } else {  // a step is issued in the cycle after `start`
            const Cycle before = finished.last() + 1;
            take = std::max(come, passed);
            passed = before > take ? before : before == take ? take + 2 : take + 1;
            start = std::max(passed, before + 1);
        }
        waits(i, finished.last() + shape.pace, start);
        return true;
    }

    // Positions in order; a result's last step waits for credit; its words are pushed `latency` later.
    bool issue() {
        bool moved = false;
        while (loaded || load()) {
            loaded = true;
            for (; group < shape.groups; ++group) {
                const Cycle ready = start + (shape.steps[at.index] - 1) * shape.pace;
                Cycle last = ready;
                const int64_t leaving = awaited(o, shape.words, shape.queue);
                if (leaving >= 0) {
                    if (!is_freed(o, leaving)) return moved;
                    last = std::max(last, freed(o, leaving) + 1);
                }
                for (int64_t k = 0; k < shape.words; ++k) o.offer(last + shape.latency + 2 + k);
                works(start, ready);
                waits(o, ready, last);
                works(last, last + shape.pace);
                if (group > 0 || shape.steps[at.index] > 1) passed = ready + 1 - shape.pace;
                start = last + shape.pace;
                moved = true;
            }
            finished.push(start - shape.pace);
            at.next(shape);
            group = 0;
            loaded = false;
        }
        return moved;
    }

    bool advance() override {
        const bool accepted = accept();
        return issue() || accepted;
    }

    void tell(State& state) override {
        Ringed::tell(state);
        if (shape.pace > 1) state.cycle(passed, finished.last() - 2);
    }
};

// An engine (rtl_gen.engine): its positions are the jobs of a program, the same for every inference.
struct Engine final : Ringed {
    int64_t drain;     // cycles from a job's last step to the first in which a job that waits for it can be taken
    int64_t position_words, result_words;  // output words of a position, and of a result but a position's last
    std::vector<int64_t> results, outs, depth;  // of each job; whether they leave; jobs before it that it does not wait for

    // `release`: cycles from a job's last step until what it read may be overwritten.
    Engine(Link& i, Link& o, StageShape given, int64_t drain, int64_t release, int64_t position_words,
           int64_t result_words, std::vector<int64_t> results, std::vector<int64_t> outs, std::vector<int64_t> depth)
        : Ringed(i, o, std::move(given), release + 3), drain(drain), position_words(position_words), result_words(result_words),
          results(std::move(results)), outs(std::move(outs)), depth(std::move(depth)) {
        i.keep(shape.collect * (shape.ring + shape.volume + 1));  // a job asks for words long after others have come
    }

    // The next job can be taken: its inputs have come or are written, and the queue has room for all its results.
    bool load() {
        const int64_t last = (at.origin + shape.needs[at.index]) * shape.collect - 1;
        if (last >= i.taken.count()) return false;
        Cycle come = std::max(take + 2, finished.last());
        if (last >= 0) come = std::max(come, i.taken[last] + 2);
        if (depth[at.index] >= 0) come = std::max(come, finished[at.number - 1 - depth[at.index]] + drain);
        Cycle ready = come;
        if (outs[at.index]) {
            const int64_t leaving = awaited(o, results[at.index] / shape.groups * position_words, shape.queue);
            if (leaving >= 0) {
                if (!is_freed(o, leaving)) return false;
                ready = std::max(ready, freed(o, leaving) + 2);
            }
        }
        const Cycle begin = finished.last() + 1;
        waits(i, begin, come + 1);
        waits(o, std::max(begin, come + 1), ready + 1);
        take = ready;
        return true;
    }

    bool advance() override {
        bool moved = accept();
        for (; load(); moved = true) {
            const int64_t steps = shape.steps[at.index];
            for (int64_t result = 0; outs[at.index] && result < results[at.index]; ++result) {
                const int64_t left = position_words - result % shape.groups * result_words;
                for (int64_t k = 0; k < std::min(result_words, left); ++k) {
                    o.offer(take + (result + 1) * steps + shape.latency + 2 + k);
                }
            }
            finished.push(take + results[at.index] * steps);
            works(take + 1, finished.last() + 1);
            at.next(shape);
        }
        return moved;
    }
};

// A pool that accumulates (rtl_gen.row_pool.RowPool). Of its shape, `needs` says where a position's words end: its last
// `groups` words complete a result each.
struct RowPool final : Unit {
    Link &i, &o;
    StageShape shape;
    Position at;  // the position that is completed next
    int64_t group = 0, word = 0, part = 0;  // its next result; the gathered word and its part that are accepted next
    Cycle completed;                        // when the result before was

    RowPool(Link& i, Link& o, StageShape given)
        : Unit({&i, &o}), i(i), o(o), shape(std::move(given)), completed(-1 - shape.words) {
        o.keep(shape.queue + shape.words + 1);
    }

    bool completes() const {
        return part == shape.collect - 1 && word == at.origin + shape.needs[at.index] - shape.groups + group;
    }

    // taken[j] = max(base[j], taken[j-1] + 1), and where it completes a result also
    // max(freed[the word that returns its credit] + 2, the result before + its words)
    bool advance() override {
        bool moved = false;
        for (; i.offered(); moved = true) {
            Cycle cycle = std::max(i.next(), i.taken.last() + 1), begin = i.taken.last() + 1;
            if (completes()) {
                const int64_t leaving = awaited(o, shape.words, shape.queue);
                if (leaving >= 0) {
                    if (!is_freed(o, leaving)) return moved;
                    cycle = std::max(cycle, freed(o, leaving) + 2);
                }
                const Cycle serial = std::max(begin, completed + shape.words);
                works(begin, serial);
                begin = serial;
                completed = cycle = std::max(cycle, completed + shape.words);
                for (int64_t k = 0; k < shape.words; ++k) o.offer(cycle + shape.latency + 2 + k);
                if (++group == shape.groups) {
                    group = 0;
                    at.next(shape);
                }
            }
            waits_and_works(i, o, begin, i.next(), cycle);
            i.take(cycle);
            if (++part == shape.collect) {
                part = 0;
                ++word;
            }
        }
        return moved;
    }

    void tell(State& state) override {
        tell_freed(state, o, shape.queue, i.taken.last() - 1);
        state.cycle(completed, i.taken.last() + 1 - shape.words);
    }
};

// Takes a word, or one of the padding behind a line, and makes one of those that end a window (rtl_gen.unfold.Unfold).
struct Unfold final : Unit {
    Link &i, &o;
    int64_t size, inner, queue, latency;
    std::vector<int64_t> completes;  // by index of a line
    int64_t index = 0, word = 0;     // of the next step
    Cycle last = -1;                 // step

    Unfold(Link& i, Link& o, int64_t size, int64_t inner, int64_t queue, int64_t latency, std::vector<int64_t> completes)
        : Unit({&i, &o}), i(i), o(o), size(size), inner(inner), queue(queue), latency(latency),
          completes(std::move(completes)) {
        o.keep(queue + 2);
    }

    // step[j] = max(base of the word that it takes, step[j-1] + 1, freed[the word that returns the credit] + 2)
    bool advance() override {
        for (bool moved = false;; moved = true) {
            const bool takes = index < size;
            if (takes && !i.offered()) return moved;
            Cycle cycle = std::max(last + 1, takes ? i.next() : 0);
            const int64_t leaving = awaited(o, 1, queue);
            if (leaving >= 0) {
                if (!is_freed(o, leaving)) return moved;
                cycle = std::max(cycle, freed(o, leaving) + 2);
            }
            waits_and_works(i, o, last + 1, takes ? i.next() : last + 1, cycle);
            if (takes) i.take(cycle);
            if (completes[index]) o.offer(cycle + latency + 2);
            last = cycle;
            if (++word == inner) {
                word = 0;
                if (++index == static_cast<int64_t>(completes.size())) index = 0;
            }
        }
    }

    void tell(State& state) override {
        tell_freed(state, o, queue, last - 1);
        state.cycle(last);
    }
};

// So many words of a stage that takes one of each of some streams, and puts out one of these or none.
struct Turn {
    int64_t words;
    std::vector<size_t> taken;  // the streams, by number
    bool puts;
};

// What makes words of those of its streams, in turns that begin anew (rtl_gen.credited.CreditedUnit): what a word is made
// of is taken in the same cycle, against a credit.
struct Credited final : Unit {
    std::vector<Link*> inputs;
    Link& o;
    int64_t queue, latency;
    std::vector<Turn> turns;
    size_t turn_now = 0;
    int64_t done = 0;  // words of this turn

    Credited(std::vector<Link*> given, Link& o, int64_t queue, int64_t latency, std::vector<Turn> turns)
        : Unit(given), inputs(std::move(given)), o(o), queue(queue), latency(latency), turns(std::move(turns)) {
        links.push_back(&o);
        o.ends.push_back(this);
        o.keep(queue + 2);
    }

    Cycle last() const {  // when something was taken last
        Cycle found = inputs[0]->taken.last();
        for (const Link* link : inputs) found = std::max(found, link->taken.last());
        return found;
    }

    // taken[j] = max(base of all that are taken, last taken + 1, freed[the word that returns the credit] + 2)
    bool advance() override {
        for (bool moved = false;; moved = true) {
            const Turn& now = turns[turn_now];
            const Cycle begin = last() + 1;
            Cycle cycle = begin;
            const Link* latest = inputs[now.taken.front()];
            for (size_t k : now.taken) {
                if (!inputs[k]->offered()) return moved;
                if (inputs[k]->next() > cycle) latest = inputs[k];
                cycle = std::max(cycle, inputs[k]->next());
            }
            const Cycle arrival = cycle;
            const int64_t leaving = now.puts ? awaited(o, 1, queue) : -1;
            if (leaving >= 0) {
                if (!is_freed(o, leaving)) return moved;
                cycle = std::max(cycle, freed(o, leaving) + 2);
            }
            waits_and_works(*latest, o, begin, arrival, cycle);
            for (size_t k : now.taken) inputs[k]->take(cycle);
            if (now.puts) o.offer(cycle + latency + 2);
            if (++done == now.words) {
                done = 0;
                turn_now = (turn_now + 1) % turns.size();
            }
        }
    }

    void tell(State& state) override { tell_freed(state, o, queue, last() - 1); }
};

struct Model {
    std::vector<std::unique_ptr<Link>> links;
    std::vector<std::unique_ptr<Unit>> units;
    std::vector<Fifo*> fifos;
    Source* source = nullptr;
    std::vector<Cycle> state;

    Link& link(int64_t index) { return *links.at(index); }
    template <typename Kind, typename... Arguments>
    Kind* add(Arguments&&... arguments) {
        auto unit = std::make_unique<Kind>(std::forward<Arguments>(arguments)...);
        Kind* added = unit.get();
        units.push_back(std::move(unit));
        return added;
    }
    // The last transfers come last: what the units say refers to them.
    void tell(bool replaces) {
        State told(state, replaces);
        for (const auto& unit : units) unit->tell(told);
        for (const auto& link : links) told.newest(link->taken);
    }
};

}  // namespace

extern "C" {

Model* new_model() { return new Model; }
void delete_model(Model* model) { delete model; }

int64_t add_link(Model* model, int64_t every) {
    model->links.push_back(std::make_unique<Link>(every));
    return static_cast<int64_t>(model->links.size()) - 1;
}

// The units are advanced in the order in which they are added.
void add_source(Model* model, int64_t o) { model->source = model->add<Source>(model->link(o), 0); }
// The source offers so many words in all from now on.
void offer(Model* model, int64_t words) {
    model->source->words = words;
    model->source->awake = true;
}
void add_sink(Model* model, int64_t i) { model->add<Sink>(model->link(i)); }
void add_splitter(Model* model, int64_t i, int64_t o, int64_t parts) {
    model->add<Splitter>(model->link(i), model->link(o), parts);
}
void add_gatherer(Model* model, int64_t i, int64_t o, int64_t parts) {
    model->add<Gatherer>(model->link(i), model->link(o), parts);
}
void add_fork(Model* model, int64_t i, int64_t readers, const int64_t* o) {
    std::vector<Link*> links;
    for (int64_t k = 0; k < readers; ++k) links.push_back(&model->link(o[k]));
    model->add<Fork>(model->link(i), links);
}
// Returns the FIFO's number for the functions below.
int64_t add_fifo(Model* model, int64_t i, int64_t o, int64_t depth, int64_t latency) {
    model->fifos.push_back(model->add<Fifo>(model->link(i), model->link(o), depth, latency));
    return static_cast<int64_t>(model->fifos.size()) - 1;
}
// Of each of `count` turns: words, whether they put anything out, and for each of the inputs whether it is taken.
void add_credited(Model* model, int64_t o, int64_t queue, int64_t latency, int64_t inputs, const int64_t* links,
                  int64_t count, const int64_t* table) {
    std::vector<Link*> read;
    for (int64_t k = 0; k < inputs; ++k) read.push_back(&model->link(links[k]));
    std::vector<Turn> turns;
    for (int64_t t = 0; t < count; ++t, table += inputs + 2) {
        Turn turn{table[0], {}, table[1] != 0};
        for (int64_t k = 0; k < inputs; ++k) {
            if (table[2 + k]) turn.taken.push_back(static_cast<size_t>(k));
        }
        turns.push_back(std::move(turn));
    }
    model->add<Credited>(read, model->link(o), queue, latency, std::move(turns));
}
void add_argmax(Model* model, int64_t i, int64_t o, int64_t classes) {
    model->add<Argmax>(model->link(i), model->link(o), classes);
}
void add_stage(Model* model, int64_t i, int64_t o, int64_t collect, int64_t ring, int64_t volume, int64_t groups,
               int64_t words, int64_t queue, int64_t latency, int64_t pace, int64_t positions, const int64_t* needs,
               const int64_t* releases, const int64_t* steps) {
    model->add<Stage>(model->link(i), model->link(o),
                      StageShape{collect, ring, volume, groups, words, queue, latency, {needs, needs + positions},
                                 {releases, releases + positions}, {steps, steps + positions}, pace});
}

// `groups` results of a position, all with `result_words` output words but the last; of each job: input words that are needed and
// released, steps of a result, results, whether they leave, and depth, negative where it waits for none.
void add_engine(Model* model, int64_t i, int64_t o, int64_t collect, int64_t ring, int64_t volume, int64_t queue,
                int64_t latency, int64_t drain, int64_t release, int64_t groups, int64_t result_words,
                int64_t position_words, int64_t jobs, const int64_t* needs, const int64_t* releases, const int64_t* steps,
                const int64_t* results, const int64_t* outs, const int64_t* depth) {
    model->add<Engine>(model->link(i), model->link(o),
                       StageShape{collect, ring, volume, groups, queue, queue, latency, {needs, needs + jobs},
                                  {releases, releases + jobs}, {steps, steps + jobs}},
                       drain, release, position_words, result_words, std::vector<int64_t>{results, results + jobs},
                       std::vector<int64_t>{outs, outs + jobs}, std::vector<int64_t>{depth, depth + jobs});
}

void add_unfold(Model* model, int64_t i, int64_t o, int64_t size, int64_t inner, int64_t queue, int64_t latency,
                int64_t steps, const int64_t* completes) {
    model->add<Unfold>(model->link(i), model->link(o), size, inner, queue, latency,
                       std::vector<int64_t>{completes, completes + steps});
}

void add_row_pool(Model* model, int64_t i, int64_t o, int64_t collect, int64_t volume, int64_t groups, int64_t words,
                  int64_t queue, int64_t latency, int64_t positions, const int64_t* needs) {
    model->add<RowPool>(model->link(i), model->link(o),
                        StageShape{collect, 0, volume, groups, words, queue, latency, {needs, needs + positions}, {}, {}});
}

// Let every unit advance for so many rounds: 1, or 0 when nothing moves any more, or -1 when a unit looks further back
// than it keeps.
int64_t run(Model* model, int64_t rounds) try {
    for (int64_t round = 0; round < rounds; ++round) {
        bool moved = false;
        for (const auto& unit : model->units) moved |= unit->turn();
        if (!moved) return 0;
    }
    return 1;
} catch (const std::logic_error&) {
    return -1;
}

// Words that a FIFO holds from now on: more than before, where which words move matters but not when.
void deepen_fifo(Model* model, int64_t fifo, int64_t depth) { model->fifos.at(fifo)->resize(depth); }
int64_t is_full(const Model* model, int64_t fifo) { return model->fifos.at(fifo)->full(); }
// The most words that a FIFO has held, of those that are followed to their leaving.
int64_t most_held(const Model* model, int64_t fifo) { return model->fifos.at(fifo)->held.most; }

// The state, when nothing moves any more: how many cycles it has, and these.
int64_t tell_state(Model* model) {
    model->state.clear();
    model->tell(false);
    return static_cast<int64_t>(model->state.size());
}
void copy_state(const Model* model, int64_t* cycles) { std::copy(model->state.begin(), model->state.end(), cycles); }
void replace_state(Model* model, const int64_t* cycles) {
    std::copy_n(cycles, model->state.size(), model->state.begin());
    model->tell(true);
}
// What FIFOs hold while another state is tried does not count.
void keep_held(Model* model) {
    for (Fifo* fifo : model->fifos) fifo->kept = fifo->held;
}
void restore_held(Model* model) {
    for (Fifo* fifo : model->fifos) {
        fifo->held = fifo->kept;
        fifo->seen = fifo->o.taken.count();
    }
}

// Units are numbered in the order in which they are added.
int64_t count_units(const Model* model) { return static_cast<int64_t>(model->units.size()); }
// From now on every unit's activity is kept, in so many stretches of so many cycles each.
void watch(Model* model, int64_t from, int64_t length, int64_t stretches) {
    for (const auto& unit : model->units) {
        const std::vector<Cycle> none(static_cast<size_t>(stretches), 0);
        const std::vector<std::vector<Cycle>> waits(unit->links.size(), none);
        unit->activity = std::make_unique<Activity>(Activity{from, length, stretches, none, waits});
    }
}
// Cycles of each stretch in which a unit makes a step.
void copy_works(const Model* model, int64_t unit, int64_t* cycles) {
    const Activity& activity = *model->units.at(unit)->activity;
    std::copy(activity.works.begin(), activity.works.end(), cycles);
}
// Those in which it waits for a word on a link to come or to be taken; none of a link that is not the unit's.
void copy_waits(const Model* model, int64_t unit, int64_t link, int64_t* cycles) {
    const Unit& found = *model->units.at(unit);
    const Link* wanted = model->links.at(link).get();
    for (size_t k = 0; k < found.links.size(); ++k) {
        const std::vector<Cycle>& waits = found.activity->waits[k];
        if (found.links[k] == wanted) std::copy(waits.begin(), waits.end(), cycles);
    }
}

int64_t count_taken(const Model* model, int64_t link) { return model->links[link]->taken.count(); }
int64_t first_taken(const Model* model, int64_t link) { return model->links[link]->first; }
int64_t count_offered(const Model* model, int64_t link) { return model->links[link]->base.count(); }
int64_t count_records(const Model* model, int64_t link) {
    return static_cast<int64_t>(model->links[link]->recorded.size());
}
void copy_records(const Model* model, int64_t link, int64_t* cycles) {
    std::copy(model->links[link]->recorded.begin(), model->links[link]->recorded.end(), cycles);
}

}  // extern "C"
