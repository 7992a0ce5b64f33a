// A board's top level with a serial port at its pins, driven by commands on standard input:
//   'W' uint32 n, n bytes      queue bytes for the board
//   'B' uint32 bits            queue a break of so many bit times, and as many of rest
//   'R' uint32 n, uint64 c     simulate until n bytes have come, or c cycles after the last bit was sent
//                              answered by uint32 k, k bytes, uint64 cycles simulated so far, uint32 led
// argv[1] is the host's bit time in clock cycles, which need not be the board's own; argv[2] the file descriptor that
// answers are written to.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

#include "Vboard_top.h"
#include "verilated.h"

namespace {

VerilatedContext context;
Vboard_top top{&context};
uint64_t cycle = 0, sent = 0;

struct Level {
    bool high;
    double bits;
};
std::deque<Level> to_send;  // levels of the line to the board
std::deque<uint8_t> received;
double bit_time = 0, send_until = 0;

// The line from the board: from the middle of a start bit, one sample a bit.
bool listening = false;
double sample_at = 0;
unsigned sampled = 0;
uint16_t shift = 0;

void tick() {
    if (cycle >= send_until) {
        if (to_send.empty()) {
            top.rx = 1;
        } else {
            if (send_until + 1 < cycle) send_until = static_cast<double>(cycle);
            top.rx = to_send.front().high;
            send_until += to_send.front().bits * bit_time;
            to_send.pop_front();
            sent = cycle;
        }
    }
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
    ++cycle;
    if (!listening) {
        if (!top.tx) {
            listening = true;
            sampled = 0;
            shift = 0;
            sample_at = static_cast<double>(cycle) + bit_time / 2;
        }
    } else if (cycle >= sample_at) {
        sample_at += bit_time;
        shift |= static_cast<uint16_t>(top.tx << sampled);
        if (++sampled == 10) {
            listening = false;
            // a start bit, eight data bits and a stop bit; anything else is not a character
            if ((shift & 1) == 0 && (shift >> 9) == 1) received.push_back(static_cast<uint8_t>(shift >> 1));
        }
    }
}

template <typename T>
T take() {
    T value;
    if (fread(&value, sizeof value, 1, stdin) != 1) exit(0);
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    bit_time = atof(argv[1]);
    FILE* const answers = fdopen(atoi(argv[2]), "wb");
    if (answers == nullptr) {
        perror("answers");
        return 2;
    }
    top.rx = 1;
    for (int i = 0; i < 64; ++i) tick();
    for (;;) {
        const char command = take<char>();
        const uint32_t count = take<uint32_t>();
        if (command == 'W') {
            for (uint32_t i = 0; i < count; ++i) {
                const uint8_t byte = take<uint8_t>();
                to_send.push_back({false, 1});
                for (int bit = 0; bit < 8; ++bit) to_send.push_back({((byte >> bit) & 1) != 0, 1});
                to_send.push_back({true, 1});
            }
        } else if (command == 'B') {
            to_send.push_back({false, static_cast<double>(count)});
            to_send.push_back({true, static_cast<double>(count)});
        } else if (command == 'R') {
            const uint64_t patience = take<uint64_t>();
            const uint64_t start = cycle;
            while (received.size() < count) {
                const uint64_t from = sent > start ? sent : start;
                if (to_send.empty() && cycle >= send_until && cycle - from > patience) break;
                tick();
            }
            const uint32_t found = static_cast<uint32_t>(received.size() < count ? received.size() : count);
            std::vector<uint8_t> data(received.begin(), received.begin() + found);
            received.erase(received.begin(), received.begin() + found);
            const uint32_t led = top.led;
            fwrite(&found, sizeof found, 1, answers);
            fwrite(data.data(), 1, found, answers);
            fwrite(&cycle, sizeof cycle, 1, answers);
            fwrite(&led, sizeof led, 1, answers);
            fflush(answers);
        } else {
            fprintf(stderr, "unknown command\n");
            return 2;
        }
    }
}
