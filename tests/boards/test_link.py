"""The serial link: words to bytes and back on the line, a break starts anew, a lost byte is told."""

import pytest
from amaranth.sim import Simulator

from boards.link import BREAK_BITS, Link, bytes_of
from rtl_gen.families import ECP5

DIVISOR = 8


def run(link, line, cycles, words_out=(), take=lambda cycle: True):
    """Drive rx by the list `line` of (bit, bit times); words that came, bytes sent by the link, overrun at the end."""
    received, sent = [], []
    state = {}

    async def host(ctx):
        for bit, times in line:
            ctx.set(link.rx, bit)
            await ctx.tick().repeat(round(times * DIVISOR))
        ctx.set(link.rx, 1)

    async def words(ctx):
        for cycle in range(cycles):
            ctx.set(link.o.ready, take(cycle))
            _, _, valid, ready, payload = await ctx.tick().sample(link.o.valid, link.o.ready, link.o.payload)
            if valid and ready:
                received.append(payload)
        state["overrun"] = ctx.get(link.overrun)

    async def source(ctx):
        for word in words_out:
            ctx.set(link.i.payload, word)
            ctx.set(link.i.valid, 1)
            *_, ready = await ctx.tick().sample(link.i.ready)
            while not ready:
                *_, ready = await ctx.tick().sample(link.i.ready)
            ctx.set(link.i.valid, 0)

    async def listen(ctx):
        previous, cycle = 1, 0
        while cycle < cycles:
            _, _, line_now = await ctx.tick().sample(link.tx)
            cycle += 1
            if previous and not line_now:
                await ctx.tick().repeat(DIVISOR // 2 - 1)
                bits = []
                for _ in range(9):
                    await ctx.tick().repeat(DIVISOR)
                    bits.append(ctx.get(link.tx))
                assert bits[8] == 1, "no stop bit"
                sent.append(sum(b << i for i, b in enumerate(bits[:8])))
                cycle += DIVISOR // 2 - 1 + 9 * DIVISOR
                line_now = 1
            previous = line_now

    simulator = Simulator(link)
    simulator.add_clock(1e-6)
    for bench in (host, words, source, listen):
        simulator.add_testbench(bench)
    simulator.run()
    return received, sent, state["overrun"]


def character(byte):
    return [(0, 1), *(((byte >> i) & 1, 1) for i in range(8)), (1, 1)]


def characters(data):
    return [(1, 3), *(item for byte in data for item in character(byte))]


@pytest.mark.parametrize("bits", [8, 11, 16])
def test_words_arrive_low_byte_first(bits):
    words = [(1 << bits) - 1, 0, 0x5A5 % (1 << bits), 1]
    data = b"".join(w.to_bytes(bytes_of(bits), "little") for w in words)
    link = Link(divisor=DIVISOR, in_bits=bits, out_bits=8, queue=16, family=ECP5)
    received, _, overrun = run(link, characters(data), 90 * len(data) + 100)
    assert received == words and not overrun


@pytest.mark.parametrize("bits", [8, 17])
def test_words_leave_low_byte_first(bits):
    words = [(1 << bits) - 2, 0, 0xA5]
    link = Link(divisor=DIVISOR, in_bits=8, out_bits=bits, queue=16, family=ECP5)
    count = bytes_of(bits) * len(words)
    _, sent, _ = run(link, [], 90 * count + 200, words_out=words)
    assert bytes(sent) == b"".join(w.to_bytes(bytes_of(bits), "little") for w in words)


def test_a_break_drops_what_was_half_received():
    link = Link(divisor=DIVISOR, in_bits=16, out_bits=8, queue=16, family=ECP5)
    line = [*characters(b"\x11"), (1, 2), (0, BREAK_BITS + 4), (1, 4), *characters(b"\x22\x33")]
    received, _, _ = run(link, line, 800)
    assert received == [0x3322]


def test_a_byte_too_many_is_told_until_the_break():
    link = Link(divisor=DIVISOR, in_bits=8, out_bits=8, queue=4, family=ECP5)
    data = bytes(range(1, 12))
    received, _, overrun = run(link, characters(data), 1100, take=lambda cycle: cycle > 950)
    assert overrun and received == list(data[: len(received)]) and len(received) < len(data)
    link = Link(divisor=DIVISOR, in_bits=8, out_bits=8, queue=4, family=ECP5)
    line = [*characters(data), (0, BREAK_BITS + 4), (1, 4)]
    assert run(link, line, 1400, take=lambda cycle: False)[2] == 0


def test_a_bit_too_short_is_refused():
    with pytest.raises(ValueError, match="a bit of 7 clock cycles is too short"):
        Link(divisor=7, in_bits=8, out_bits=8, queue=4, family=ECP5)
