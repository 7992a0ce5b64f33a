// A board's top level whose serial pins are a file descriptor: a pseudo-terminal or a socket. Runs until it is killed.
//
// board line=FD bit=CYCLES idle=CYCLES corrupt=P drop=P seed=S
//
// `bit` is the host's bit time in clock cycles, which need not be the board's own. After `idle` cycles in which nothing
// is on the line, time stands still until a byte comes. Each byte of either direction is changed with the probability
// `corrupt` and lost with the probability `drop`.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "Vboard_top.h"
#include "verilated.h"

namespace {

const char* option(int argc, char** argv, const char* name) {
    const size_t length = strlen(name);
    for (int i = 1; i < argc; ++i)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=') return argv[i] + length + 1;
    fprintf(stderr, "%s is missing\n", name);
    exit(2);
}

struct Noise {
    double corrupt, drop;
    uint64_t state;
    uint32_t next() {  // splitmix64
        uint64_t z = (state += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return static_cast<uint32_t>((z ^ (z >> 31)) >> 32);
    }
    bool happens(double probability) { return probability > 0 && next() < probability * 4294967296.0; }
    void pass(uint8_t byte, std::deque<uint8_t>& to) {
        if (happens(drop)) return;
        if (happens(corrupt)) byte ^= static_cast<uint8_t>(1 + next() % 255);
        to.push_back(byte);
    }
};

VerilatedContext context;
Vboard_top top{&context};
uint64_t cycle = 0, busy = 0;  // `busy`: the last cycle in which anything was on the line
double bit_time = 4;
std::deque<uint8_t> to_board, to_host;

// The line to the board: a start bit, eight data bits, a stop bit.
unsigned bits_left = 0;
uint16_t sending = 0;
double send_until = 0;

// The line from it: from the middle of a start bit, one sample a bit.
bool listening = false;
double sample_at = 0;
unsigned sampled = 0;
uint16_t shift = 0;

void tick(Noise& noise) {
    if (static_cast<double>(cycle) >= send_until) {
        if (bits_left == 0 && !to_board.empty()) {
            sending = static_cast<uint16_t>(0x200 | to_board.front() << 1);
            to_board.pop_front();
            bits_left = 10;
            if (send_until + 1 < static_cast<double>(cycle)) send_until = static_cast<double>(cycle);
        }
        if (bits_left > 0) {
            top.rx = sending & 1;
            sending >>= 1;
            --bits_left;
            send_until += bit_time;
            busy = cycle;
        } else {
            top.rx = 1;
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
    } else if (static_cast<double>(cycle) >= sample_at) {
        busy = cycle;
        sample_at += bit_time;
        shift |= static_cast<uint16_t>(top.tx << sampled);
        if (++sampled == 10) {
            listening = false;
            if ((shift & 1) == 0 && (shift >> 9) == 1) noise.pass(static_cast<uint8_t>(shift >> 1), to_host);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int line = atoi(option(argc, argv, "line"));
    bit_time = atof(option(argc, argv, "bit"));
    const uint64_t idle = strtoull(option(argc, argv, "idle"), nullptr, 10);
    Noise noise{atof(option(argc, argv, "corrupt")), atof(option(argc, argv, "drop")),
                strtoull(option(argc, argv, "seed"), nullptr, 10) * 0x9e3779b97f4a7c15ull};
    fcntl(line, F_SETFL, fcntl(line, F_GETFL) | O_NONBLOCK);
    top.rx = 1;
    for (int i = 0; i < 64; ++i) tick(noise);
    busy = cycle;
    uint64_t look_at = 0;
    for (;;) {
        if (to_board.empty() && cycle >= look_at) {
            look_at = cycle + static_cast<uint64_t>(bit_time) * 4;
            uint8_t data[256];
            const ssize_t count = read(line, data, sizeof data);
            if (count == 0) return 0;
            if (count < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) {
                perror("line");
                return 1;
            }
            for (ssize_t i = 0; i < count; ++i) noise.pass(data[i], to_board);
        }
        // Bytes go to the host when the line rests, or there are many: each wakes it. What it does not take is lost.
        const bool rests = !listening && static_cast<double>(cycle) > sample_at + 2 * bit_time;
        if (!to_host.empty() && (rests || to_host.size() >= 64)) {
            const std::vector<uint8_t> data(to_host.begin(), to_host.end());
            to_host.clear();
            if (write(line, data.data(), data.size()) < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) {
                perror("line");
                return 1;
            }
        }
        if (to_board.empty() && bits_left == 0 && cycle > busy + idle) {
            pollfd waits{line, POLLIN, 0};
            poll(&waits, 1, -1);
            if ((waits.revents & (POLLHUP | POLLIN)) == POLLHUP) return 0;
            busy = cycle;
            look_at = 0;
        }
        tick(noise);
    }
}
