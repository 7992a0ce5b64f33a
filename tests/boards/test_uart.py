"""Characters on a line: every byte both ways, bits a little off, glitches, a line held low."""

import pytest
from amaranth.sim import Simulator

from boards.uart import UartReceiver, UartTransmitter


def character(byte: int) -> list[int]:
    return [0, *((byte >> i) & 1 for i in range(8)), 1]


def receive(divisor: int, levels: list[tuple[int, float]]) -> list[int]:
    """The bytes that a line gives, by (level, bit times)."""
    receiver, found = UartReceiver(divisor), []

    async def bench(ctx):
        time = 0.0
        cycle = 0
        for level, bits in [*levels, (1, 12.0)]:
            time += bits * divisor
            ctx.set(receiver.line, level)
            while cycle < time:
                _, _, valid, byte = await ctx.tick().sample(receiver.valid, receiver.byte)
                cycle += 1
                if valid:
                    found.append(byte)

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize(("divisor", "skew"), [(4, 1.0), (8, 0.98), (8, 1.02), (33, 0.98), (33, 1.02), (104, 1.0)])
def test_bytes_back_to_back(divisor: int, skew: float) -> None:
    data = [0x00, 0xFF, 0x55, 0xAA, 0x7E, 0x01, 0x80, 0xFE]
    levels = [(1, 2.3), *((bit, skew) for byte in data for bit in character(byte))]
    assert receive(divisor, levels) == data


def test_glitches_begin_nothing_and_change_nothing() -> None:
    glitch = 1 / 16
    assert receive(16, [(1, 2), (0, glitch), (1, 3), (0, 0.3), (1, 3)]) == []
    flipped = [part for bit in character(0xC5) for part in ((bit, 0.5), (1 - bit, glitch), (bit, 0.5 - glitch))]
    assert receive(16, [(1, 2), *flipped]) == [0xC5]


def test_a_line_that_is_held_low_gives_nothing_and_the_next_byte_comes() -> None:
    assert receive(8, [(1, 2), (0, 50), (1, 3), *((bit, 1) for bit in character(0x42))]) == [0x42]


def test_what_is_sent_is_received_and_an_idle_line_is_high() -> None:
    transmitter, data = UartTransmitter(8), [0x00, 0x7E, 0xFF, 0xA5]
    levels: list[int] = []

    async def source(ctx):
        for byte in data:
            ctx.set(transmitter.i.payload, byte)
            ctx.set(transmitter.i.valid, 1)
            await ctx.tick().until(transmitter.i.ready)
            ctx.set(transmitter.i.valid, 0)
            await ctx.tick().repeat(30)

    async def listen(ctx):
        for _ in range(500):
            _, _, level = await ctx.tick().sample(transmitter.line)
            levels.append(level)

    simulator = Simulator(transmitter)
    simulator.add_clock(1e-6)
    simulator.add_testbench(source)
    simulator.add_testbench(listen)
    simulator.run()
    assert levels[0] == 1 and set(levels[-80:]) == {1}
    assert receive(8, [(level, 1 / 8) for level in levels]) == data
