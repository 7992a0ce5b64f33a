// Batch harness: feeds a file of input words into module `harness` and writes every transfer to a file descriptor; the
// standard output is the design's own.
//
// batch output=FD input=FILE words=N seed=S source=STOP,GO sink=STOP,GO watchdog=W drain=D [waves=FILE from=C to=C]
//
// Output: blocks of {uint32 stream, uint32 count}, then count * limbs uint32 of payload, then count uint64 cycles.
// Stream 0: the cycle of each sample's first input transfer (no payload); 1: the output; 2, 3, ...: the taps. A block
// is one sample of its stream, the last one may be shorter. Stream 0xffffffff ends the run: `count` bytes of JSON.
// Cycle 0 is the first one in which a word may be offered; those of the reset before it are negative.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "Vharness.h"
#include "harness_layout.h"
#include "verilated.h"
#if defined(QTT_FST)
#include "verilated_fst_c.h"
#define QTT_TRACE VerilatedFstC
#elif defined(QTT_VCD)
#include "verilated_vcd_c.h"
#define QTT_TRACE VerilatedVcdC
#endif

// Verilator's own handler calls back to flush the trace, and so waits for ever for the lock that a failed write holds.
void vl_fatal(const char*, int, const char*, const char* message) {
    std::fprintf(stderr, "%s\n", message);
    std::_Exit(3);
}

namespace {

template <typename T>
void get_words(const T& port, uint32_t* words, unsigned limbs) {
    if constexpr (std::is_integral_v<T>) {
        for (unsigned i = 0; i < limbs; ++i) words[i] = static_cast<uint32_t>(static_cast<uint64_t>(port) >> (32 * i));
    } else {
        for (unsigned i = 0; i < limbs; ++i) words[i] = port[i];
    }
}

template <typename T>
void set_words(T& port, const uint32_t* words, unsigned limbs) {
    if constexpr (std::is_integral_v<T>) {
        uint64_t value = 0;
        for (unsigned i = 0; i < limbs; ++i) value |= static_cast<uint64_t>(words[i]) << (32 * i);
        port = static_cast<T>(value);
    } else {
        for (unsigned i = 0; i < limbs; ++i) port[i] = words[i];
    }
}

struct Random {
    uint64_t state;
    explicit Random(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15ull + 0x632be59bd9b4e019ull) {}
    uint32_t next() {  // splitmix64
        uint64_t z = (state += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return static_cast<uint32_t>((z ^ (z >> 31)) >> 32);
    }
};

// A two-state random walk: going stops with probability stop/256 a cycle, a stall ends with probability go/256.
struct Walk {
    unsigned stop, go;
    bool stalled = false;
    Random random;
    Walk(unsigned stop_, unsigned go_, uint64_t seed) : stop(stop_), go(go_), random(seed) {}
    bool step() {
        if (stop == 0) return false;
        if ((random.next() & 255) < (stalled ? go : stop)) stalled = !stalled;
        return stalled;
    }
};

FILE* results = nullptr;  // where blocks go

struct Stream {
    uint32_t index;
    unsigned limbs;
    size_t per_sample;
    std::vector<uint32_t> payload;
    std::vector<uint64_t> cycles;
    Stream(uint32_t index_, unsigned limbs_, size_t per_sample_)
        : index(index_), limbs(limbs_), per_sample(per_sample_) {}
    uint32_t* push(uint64_t cycle) {
        cycles.push_back(cycle);
        payload.resize(payload.size() + limbs);
        return payload.data() + payload.size() - limbs;
    }
    bool full() const { return cycles.size() == per_sample; }
    void flush() {
        if (cycles.empty()) return;
        const uint32_t header[2] = {index, static_cast<uint32_t>(cycles.size())};
        fwrite(header, sizeof(uint32_t), 2, results);
        fwrite(payload.data(), sizeof(uint32_t), payload.size(), results);
        fwrite(cycles.data(), sizeof(uint64_t), cycles.size(), results);
        payload.clear();
        cycles.clear();
    }
};

std::string option(int argc, char** argv, const char* name, const char* otherwise) {
    const size_t length = strlen(name);
    for (int i = 1; i < argc; ++i)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=') return argv[i] + length + 1;
    return otherwise;
}

uint64_t number(int argc, char** argv, const char* name, const char* otherwise) {
    return strtoull(option(argc, argv, name, otherwise).c_str(), nullptr, 10);
}

Walk walk(int argc, char** argv, const char* name, uint64_t seed) {
    const std::string text = option(argc, argv, name, "0,256");
    unsigned stop = 0, go = 256;
    if (sscanf(text.c_str(), "%u,%u", &stop, &go) != 2) {
        fprintf(stderr, "%s: expected STOP,GO\n", name);
        exit(2);
    }
    return Walk(stop, go, seed);
}

std::vector<uint32_t> read_file(const std::string& path, size_t limbs) {
    FILE* file = fopen(path.c_str(), "rb");
    if (file == nullptr) {
        fprintf(stderr, "%s: cannot be read\n", path.c_str());
        exit(2);
    }
    std::vector<uint32_t> data(limbs);
    const size_t found = fread(data.data(), sizeof(uint32_t), limbs, file);
    fclose(file);
    if (found != limbs) {
        fprintf(stderr, "%s: %zu words of 32 bits, expected %zu\n", path.c_str(), found, limbs);
        exit(2);
    }
    return data;
}

#ifdef QTT_TRACE
// A trace of the cycles from `from` to `to`. In each the clock is high first: registers and inputs change as it rises.
struct Waves {
    QTT_TRACE trace;
    const std::string path;
    const int64_t from, to;
    Waves(int argc, char** argv)
        : path(option(argc, argv, "waves", "")),
          from(strtoll(option(argc, argv, "from", "0").c_str(), nullptr, 10)),
          to(path.empty() ? INT64_MAX : strtoll(option(argc, argv, "to", "0").c_str(), nullptr, 10)) {
        trace.set_time_unit("1ns");
        trace.set_time_resolution("1ns");
    }
    void show(Vharness& top, int64_t cycle, int half) {
        if (path.empty() || cycle < from || cycle > to) return;
        if (!trace.isOpen()) {
            trace.open(path.c_str());
            if (!trace.isOpen()) vl_fatal("", 0, "", (path + ": cannot be written").c_str());
        }
        if (half == 0) top.eval();
        trace.dump(static_cast<uint64_t>(PERIOD * (cycle + RESET + SETTLE) + PERIOD / 2 * half));
    }
};
#define SHOW(cycle, half) waves.show(top, cycle, half)
#else
#define SHOW(cycle, half)
#endif

}  // namespace

int main(int argc, char** argv) {
    const uint64_t words = number(argc, argv, "words", "0");
    const uint64_t seed = number(argc, argv, "seed", "0");
    const std::vector<uint32_t> input = read_file(option(argc, argv, "input", ""), words * INPUT_LIMBS);
    Walk source = walk(argc, argv, "source", 2 * seed + 1);
    Walk sink = walk(argc, argv, "sink", 2 * seed + 2);
    Random garbage(~seed);
    const bool stalls = source.stop != 0 || sink.stop != 0;
    static char buffer[1 << 20];
    results = fdopen(static_cast<int>(number(argc, argv, "output", "1")), "wb");
    if (results == nullptr) {
        perror("output");
        return 2;
    }
    setvbuf(results, buffer, _IOFBF, sizeof buffer);

    VerilatedContext context;
    Vharness top(&context, "bench");
#ifdef QTT_TRACE
    context.commandArgs(argc, argv);
    context.traceEverOn(true);
    Waves waves(argc, argv);
    top.trace(&waves.trace, 99);
#endif

    top.clk = 0;
    top.i_valid = 0;
    top.o_ready = 0;
    top.words_in = words;
    top.words_out = words / INPUT_WORDS * OUTPUT_WORDS;
    top.drain = number(argc, argv, "drain", "1000");
    top.watchdog = number(argc, argv, "watchdog", "1000000");
    for (int i = -RESET - SETTLE; i < 0; ++i) {
        top.rst = i < -SETTLE;
        SHOW(i, 0);
        top.clk = 0;
        top.eval();
        SHOW(i, 1);
        top.clk = 1;
        top.eval();
    }

    Stream starts(0, 0, 1), output(1, OUTPUT_LIMBS, OUTPUT_WORDS);
#define X(i, limbs, per_sample) Stream(2 + i, limbs, per_sample),
    std::vector<Stream> taps{TAPS(X)};
#undef X
    static const char* const statuses[] = {STATUSES};
    uint64_t taken = 0, cycle = 0;
    bool holding = false;

    for (;; ++cycle) {
        if (!holding) {
            const bool stall = source.step();
            if (taken < words && !stall) {
                set_words(top.i_payload, &input[taken * INPUT_LIMBS], INPUT_LIMBS);
                top.i_valid = 1;
                holding = true;
            } else {
                top.i_valid = 0;
                if (stalls) {  // a design that looks at a payload without valid must not get away with it
                    uint32_t noise[INPUT_LIMBS];
                    for (unsigned i = 0; i < INPUT_LIMBS; ++i) noise[i] = garbage.next();
                    noise[INPUT_LIMBS - 1] &= INPUT_TOP_MASK;
                    set_words(top.i_payload, noise, INPUT_LIMBS);
                }
            }
        }
        const bool ready = !sink.step();
        top.o_ready = ready;
        SHOW(cycle, 0);
        top.clk = 0;
        top.eval();
        SHOW(cycle, 1);
        if (holding && top.i_ready) {
            if (taken % INPUT_WORDS == 0) {
                starts.push(cycle);
                starts.flush();
            }
            ++taken;
            holding = false;
        }
        if (top.o_valid && ready) {
            get_words(top.o_payload, output.push(cycle), OUTPUT_LIMBS);
            if (output.full()) {
                output.flush();
                fflush(results);
            }
        }
#define X(i, limbs, per_sample)                              \
    if (top.t##i##_strobe) {                                 \
        get_words(top.t##i##_payload, taps[i].push(cycle), limbs); \
        if (taps[i].full()) taps[i].flush();                 \
    }
        TAPS(X)
#undef X
        top.clk = 1;
        top.eval();
#ifdef QTT_TRACE
        if (static_cast<int64_t>(cycle) >= waves.to) break;
#endif
        if (top.status != 0) break;
    }
    output.flush();
    for (Stream& tap : taps) tap.flush();
    char text[256];
    const int length = snprintf(text, sizeof text,
                                "{\"status\": \"%s\", \"cycle\": %llu, \"last\": %llu, \"taken\": %llu}",
                                statuses[top.status], static_cast<unsigned long long>(top.cycle),
                                static_cast<unsigned long long>(top.last), static_cast<unsigned long long>(top.taken));
    const uint32_t header[2] = {0xffffffffu, static_cast<uint32_t>(length)};
    fwrite(header, sizeof(uint32_t), 2, results);
    fwrite(text, 1, static_cast<size_t>(length), results);
    fflush(results);
#ifdef QTT_TRACE
    waves.trace.close();
#endif
    top.final();
    return 0;
}
