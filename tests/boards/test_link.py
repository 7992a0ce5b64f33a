"""The link whole, its line driven bit by bit: a buffer smaller than a sample, repetitions, a restart in the middle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from boards.link import Link
from boards.protocol import Answer, Frames, Kind, Status, request
from rtl_gen.families import ECP5
from tests.boards.device_model import IDENTITY

DIVISOR = 4
SESSION = 0x12345678


class Bench:
    """A host's side by hand, and an accelerator: the sum of a sample's words, then the class; a cycle a word."""

    def __init__(self, **identity: object):
        self.link = Link(divisor=DIVISOR, identity=replace(IDENTITY, **identity), family=ECP5)  # type: ignore[arg-type]
        self.answers: list[Answer] = []
        self.rests = self.done = False

    async def say(self, ctx, *requests: tuple[Kind, int, bytes]) -> Answer:
        """Send frames; the last of the answers that came until the line rests."""
        for byte in b"".join(request(*one, SESSION) for one in requests):
            for bit in (0, *((byte >> i) & 1 for i in range(8)), 1):
                ctx.set(self.link.rx, bit)
                await ctx.tick().repeat(DIVISOR)
        await ctx.tick().repeat(60 * DIVISOR)
        while not self.rests:
            await ctx.tick().repeat(10)
        return self.answers[-1]

    async def listen(self, ctx) -> None:
        frames, quiet, previous = Frames(), 0, 1
        while not self.done:
            _, _, level = await ctx.tick().sample(self.link.tx)
            quiet = quiet + 1 if level else 0
            self.rests = quiet > 30 * DIVISOR
            if previous and not level:
                await ctx.tick().repeat(DIVISOR // 2 - 1)
                value = 0
                for bit in range(9):
                    await ctx.tick().repeat(DIVISOR)
                    value |= ctx.get(self.link.tx) << bit
                assert value >> 8, "no stop bit"
                for body in frames.take(bytes([value & 0xFF]), SESSION):
                    answer = Answer.decoded(body)
                    assert answer is not None
                    self.answers.append(answer)
                level, quiet = 1, 0
            previous = level

    async def accelerate(self, ctx) -> None:
        link, words = self.link, self.link.identity.in_words
        total = count = 0
        pending: list[int] = []
        ctx.set(link.o.ready, 1)
        while not self.done:
            _, _, restart, valid, payload = await ctx.tick().sample(link.restart, link.o.valid, link.o.payload)
            if restart:
                total, count, pending = 0, 0, []
            elif valid:
                total, count = total + payload, count + 1
                if count % words == 0:
                    pending = [total & 0xFFFF, 7, 1 << 16]
                    total = 0
            ctx.set(link.i.valid, bool(pending))
            if pending:
                ctx.set(link.i.payload.as_value(), pending.pop(0))

    def run(self, script) -> None:
        async def drive(ctx):
            ctx.set(self.link.rx, 1)
            await ctx.tick().repeat(20)
            try:
                await script(ctx)
            finally:
                self.done = True

        simulator = Simulator(self.link)
        simulator.add_clock(1e-6)
        for bench in (drive, self.listen, self.accelerate):
            simulator.add_testbench(bench)
        simulator.run()


OPENING = (Kind.OPEN, 0, SESSION.to_bytes(4, "little"))


def test_a_sample_larger_than_the_buffer_and_a_host_that_is_slow() -> None:
    bench = Bench(in_bits=8, in_words=80, out_words=3, buffer_words=16, whole=False)
    data = bytes(range(3, 83))

    async def script(ctx):
        assert (await bench.say(ctx, OPENING)).next == 0
        await bench.say(ctx, (Kind.BEGIN, 0, bytes([0, 0])))
        for number, first in enumerate(range(0, 80, 16)):
            answer = await bench.say(ctx, (Kind.DATA, 1 + number, data[first : first + 16]))
            assert answer.next == 2 + number and not answer.status & Status.REFUSED
        answer = await bench.say(ctx, (Kind.RESULT, 9, bytes(2)))
        assert answer.status & (Status.DONE | Status.STARVED | Status.MISFRAMED) == Status.DONE | Status.STARVED
        assert int.from_bytes(answer.payload[5:8], "little") == sum(data)
        # A frame that is larger than the buffer finds no room, whatever is taken meanwhile, and loses nothing.
        await bench.say(ctx, (Kind.BEGIN, 6, bytes([0, 0])))
        again = await bench.say(ctx, (Kind.DATA, 9, data[:16]), (Kind.DATA, 7, data[:16]), (Kind.DATA, 7, data[:16]))
        assert again.next == 8

    bench.run(script)


def test_a_whole_sample_and_its_repetitions_are_fed_without_a_pause() -> None:
    bench = Bench(in_bits=8, in_words=20, out_words=3, buffer_words=20)
    data, again = bytes(range(40, 60)), 2

    async def script(ctx):
        await bench.say(ctx, OPENING)
        await bench.say(ctx, (Kind.BEGIN, 0, bytes([0, 0])), (Kind.DATA, 1, data))
        first = await bench.say(ctx, (Kind.RESULT, 3, bytes(2)))
        await bench.say(ctx, (Kind.BEGIN, 2, bytes([again, 1])))
        answer = await bench.say(ctx, (Kind.RESULT, 4, bytes(2)))
        assert answer.status == first.status == Status.DONE
        cycles = [int.from_bytes(each.payload[:5], "little") for each in (first, answer)]
        assert cycles[0] == 20 + 2 and cycles[1] == cycles[0] + 20 * again
        assert int.from_bytes(answer.payload[5:8], "little") == sum(data)
        # Another session in the middle of a sample: nothing of it is left.
        await bench.say(ctx, (Kind.BEGIN, 3, bytes([0, 0])), (Kind.DATA, 4, data[:7]))
        reopened = await bench.say(ctx, OPENING)
        assert (reopened.next, reopened.status) == (0, Status(0))
        await bench.say(ctx, (Kind.BEGIN, 0, bytes([0, 0])), (Kind.DATA, 1, data))
        assert (await bench.say(ctx, (Kind.RESULT, 5, bytes(2)))).payload[5:8] == first.payload[5:8]
        identity = await bench.say(ctx, (Kind.IDENTIFY, 6, bytes([0])))
        assert identity.payload == bench.link.identity.encoded()[:32]

    bench.run(script)


def test_a_bit_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="^a bit of 3 clock cycles is too short for the link; 4 are the least$"):
        Link(divisor=3, identity=IDENTITY, family=ECP5)
