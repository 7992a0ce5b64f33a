"""The input's buffer: whole frames count, broken ones are taken back, words come without a pause, again and again."""

import random

import pytest
from amaranth.sim import Simulator

from boards.protocol import bytes_of
from boards.sample_buffer import SampleBuffer, piece_bytes
from rtl_gen.families import ECP5


def payloads(words: list[int], bits: int) -> list[bytes]:
    """As a host makes them."""
    pieces, data = piece_bytes(bits), [word.to_bytes(bytes_of(bits), "little") for word in words]
    if len(pieces) > 1:
        return [word[32 * i : 32 * i + count] for word in data for i, count in enumerate(pieces)]
    step = 32 // pieces[0]
    return [b"".join(data[i : i + step]) for i in range(0, len(data), step)]


class Bench:
    """Frames into a buffer, words out of it."""

    def __init__(self, **sizes: int):
        self.buffer = SampleBuffer(family=ECP5, **sizes)
        self.sound: list[bool] = []
        self.taken: list[tuple[int, int, int]] = []  # cycle, word, last

    async def frame(self, ctx, payload: bytes, good: bool = True) -> None:
        buffer = self.buffer
        for byte in payload:
            ctx.set(buffer.byte, byte)
            ctx.set(buffer.byte_valid, 1)
            await ctx.tick()
            ctx.set(buffer.byte_valid, 0)
            await ctx.tick().repeat(6)
        sound = bool(ctx.get(buffer.sound))
        self.sound.append(sound)
        strobe = buffer.commit if good and sound else buffer.revert
        ctx.set(strobe, 1)
        await ctx.tick()
        ctx.set(strobe, 0)
        await ctx.tick().repeat(6)

    async def take(self, ctx, words: int, cycles: int) -> None:
        ctx.set(self.buffer.o.ready, 1)
        for cycle in range(cycles):
            _, _, valid, payload = await ctx.tick().sample(self.buffer.o.valid, self.buffer.o.payload)
            if valid:
                self.taken.append((cycle, payload.word, payload.last))
                if len(self.taken) == words:
                    break
        ctx.set(self.buffer.o.ready, 0)

    def run(self, bench) -> None:
        simulator = Simulator(self.buffer)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()


@pytest.mark.parametrize(("bits", "words"), [(8, 100), (3, 70), (20, 30), (300, 5), (512, 6)])
def test_a_whole_sample_is_fed_word_by_word_and_again(bits: int, words: int) -> None:
    bench, generator = Bench(bits=bits, words=words, depth=words), random.Random(bits)
    sample = [generator.getrandbits(bits) for _ in range(words)]

    async def drive(ctx):
        buffer = bench.buffer
        for number, payload in enumerate(payloads(sample, bits)):
            if number % 3 == 1:  # broken: what it wrote ahead is taken back
                await bench.frame(ctx, bytes(b ^ 0xFF for b in payload[: 1 + generator.randrange(len(payload))]), False)
            assert not ctx.get(buffer.full)
            await bench.frame(ctx, payload)
        assert ctx.get(buffer.full)
        await bench.frame(ctx, payloads(sample, bits)[0])  # one too many finds no room
        ctx.set(buffer.again, 2)
        ctx.set(buffer.feed, 1)
        await ctx.tick().repeat(40)
        await bench.take(ctx, 3 * words, 4 * words)
        assert not ctx.get(buffer.o.valid)

    bench.run(drive)
    assert bench.sound[-1] is False and [word for _, word, _ in bench.taken] == 3 * sample
    assert [cycle for cycle, *_ in bench.taken] == list(range(3 * words)), "a word each cycle"
    assert [last for *_, last in bench.taken] == [0] * (3 * words - 1) + [1]


def test_a_frame_that_ends_within_a_word_is_not_sound_and_clear_forgets() -> None:
    bench = Bench(bits=16, words=4, depth=4)

    async def drive(ctx):
        await bench.frame(ctx, b"\x01\x02\x03")
        await bench.frame(ctx, b"\x01\x02\x03\x04")
        ctx.set(bench.buffer.clear, 1)
        await ctx.tick()
        ctx.set(bench.buffer.clear, 0)
        await bench.frame(ctx, bytes(range(8)))
        await ctx.tick().repeat(3)
        ctx.set(bench.buffer.feed, 1)
        await bench.take(ctx, 4, 60)

    bench.run(drive)
    assert bench.sound == [False, True, True]
    assert [word for _, word, _ in bench.taken] == [0x0100, 0x0302, 0x0504, 0x0706]


def test_a_small_buffer_refuses_what_has_no_room_and_loses_nothing() -> None:
    bench = Bench(bits=8, words=600, depth=256)
    generator = random.Random(5)
    sample = [generator.randrange(256) for _ in range(600)]

    async def drive(ctx):
        parts, refused = payloads(sample, 8), 0
        while parts:
            await bench.frame(ctx, parts[0])
            if bench.sound[-1]:
                parts.pop(0)
            else:
                refused += 1
                ctx.set(bench.buffer.feed, 1)
                await bench.take(ctx, len(bench.taken) + 100, 2000)
        await bench.take(ctx, 600, 4000)
        assert refused >= 2

    bench.run(drive)
    assert [word for _, word, _ in bench.taken] == sample and bench.taken[-1][2] == 1
