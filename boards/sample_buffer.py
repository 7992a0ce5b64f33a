"""The input of an inference in memory: bytes of frames become words, words go to the accelerator one a cycle.

What a frame brings counts only when the frame has checked: until then it is written ahead, and a frame that does not is
taken back. Where the buffer holds a whole sample, nothing is fed before all of it is there, and it can be fed again.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, ResetInserter, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from boards.protocol import MOST_PAYLOAD, bytes_of
from rtl_gen.delay import delay
from rtl_gen.families import Family
from rtl_gen.host_link import QUEUE, in_single_port
from rtl_gen.memory import Ram, SinglePortRam
from rtl_gen.output import OutputQueue

__all__ = ["SampleBuffer", "piece_bytes"]

#: Cycles between two words of a buffer that is smaller than a sample: the line is many times slower.
PAUSE = 4


def piece_bytes(bits: int) -> list[int]:
    """The pieces of a word in bytes, each of a frame at most; a frame has one piece, or several whole words."""
    left, found = bytes_of(bits), []
    while left > 0:
        found.append(min(left, MOST_PAYLOAD))
        left -= MOST_PAYLOAD
    return found


class SampleBuffer(wiring.Component):
    """Bytes in, words out.

    Parameters
    ----------
    bits, words : int
        Of an input word, and of a sample.
    depth : int
        Words that it holds: those of a sample, or a power of two below.
    family : Family
    repeats : int
        Bits of the number of times that a sample is fed.

    Members
    -------
    clear : In
        Forget the sample.
    byte, byte_valid : In
        Of a frame's payload, not in neighbouring cycles.
    commit, revert : In
        What was written ahead is the sample's, or is taken back.
    sound : Out
        What was written ahead had room, and ends with a piece.
    full : Out
        The sample is there, or of one that is larger than the buffer some of it.
    feed : In
        Words are read into the queue; when it is low, the next one is the first.
    again : In
        How often the sample is fed beyond the first time.
    o : Out(stream)
        Words, with `last` beside the last of all.
    """

    def __init__(self, *, bits: int, words: int, depth: int, family: Family, repeats: int = 8):
        self.bits, self.words, self.depth, self.family = bits, words, depth, family
        self.whole = depth == words
        super().__init__(
            {
                "clear": In(1),
                "byte": In(8),
                "byte_valid": In(1),
                "commit": In(1),
                "revert": In(1),
                "sound": Out(1),
                "full": Out(1),
                "feed": In(1),
                "again": In(repeats),
                "o": Out(stream.Signature(data.StructLayout({"word": unsigned(bits), "last": 1}))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        counts = range(self.words + 1)
        written, committed, fed = (Signal(counts, name=name) for name in ("written", "committed", "fed"))
        pieces, memories = piece_bytes(self.bits), list[Ram | SinglePortRam]()
        # A whole sample is there before any of it is read.
        single = in_single_port(self.family.memory, self.bits, self.words, self.depth)
        for number, count in enumerate(pieces):
            bits = min(8 * count, self.bits - 8 * MOST_PAYLOAD * number)
            memory = (SinglePortRam if single else Ram)(self.depth, bits, self.family)
            m.submodules[f"memory_{number}" if len(pieces) > 1 else "memory"] = memory
            memories.append(memory)
        self._write(m, memories, written, committed, fed)
        m.submodules.reader = ResetInserter(~self.feed)(self._reader(memories, committed, fed))
        return m

    def _write(
        self, m: Module, memories: Sequence[Ram | SinglePortRam], written: Signal, committed: Signal, fed: Signal
    ) -> None:
        pieces = piece_bytes(self.bits)
        gathered, filled = Signal(8 * pieces[0]), Signal(range(pieces[0] + 1))
        piece, kept = Signal(range(len(pieces))), Signal(range(len(pieces)))
        room, refused, whole = Signal(init=1), Signal(), Signal()
        m.d.comb += [whole.eq(filled == pieces[0]), self.sound.eq((filled == 0) & ~refused)]
        with m.Switch(piece):
            for number, count in enumerate(pieces[1:], 1):
                with m.Case(number):
                    m.d.comb += whole.eq(filled == count)
        # Registers: bytes are many cycles apart.
        held = Signal(range(self.depth + 1))
        m.d.sync += [
            room.eq((written != self.words) & (1 if self.whole else held != self.depth)),
            self.full.eq(committed == self.words if self.whole else committed != 0),
        ]
        if not self.whole:
            m.d.sync += held.eq((written - fed)[: len(held)])

        with m.If(self.byte_valid):
            m.d.sync += [gathered.eq(Cat(gathered[8:], self.byte)), filled.eq(filled + 1)]
        for number, (memory, count) in enumerate(zip(memories, pieces, strict=True)):
            m.d.comb += [
                memory.write_address.eq(written[: ceil_log2(self.depth)]),
                memory.write_data.eq(gathered[8 * (pieces[0] - count) :]),
                memory.write_enable.eq(whole & room & (piece == number)),
            ]
        with m.If(whole):
            m.d.sync += filled.eq(0)
            with m.If(~room):
                m.d.sync += refused.eq(1)
            with m.Elif(piece == len(pieces) - 1):
                m.d.sync += [piece.eq(0), written.eq(written + 1)]
            with m.Else():
                m.d.sync += piece.eq(piece + 1)
        with m.If(self.commit):
            m.d.sync += [committed.eq(written), kept.eq(piece)]
        with m.If(self.revert):
            m.d.sync += [written.eq(committed), piece.eq(kept), filled.eq(0), refused.eq(0)]
        with m.If(self.clear):
            m.d.sync += [s.eq(0) for s in (written, committed, piece, kept, filled, refused)]

    def _reader(self, memories: Sequence[Ram | SinglePortRam], committed: Value, fed: Signal) -> Module:
        m = Module()
        m.submodules.queue = queue = OutputQueue(self.bits + 1, QUEUE, self.family)
        credit, finished = Signal(range(QUEUE + 1), init=QUEUE), Signal()
        reads, ends, last = Signal(), Signal(), Signal()
        m.d.comb += ends.eq(fed == self.words - 1)
        if self.whole:
            rounds = Signal.like(self.again)
            m.d.comb += [reads.eq((credit != 0) & ~finished), last.eq(ends & (rounds == self.again))]
            with m.If(reads):
                m.d.sync += fed.eq(fed + 1)
                with m.If(ends):
                    m.d.sync += [fed.eq(0), rounds.eq(rounds + 1)]
        else:
            pause, some = Signal(range(PAUSE)), Signal()
            m.d.sync += some.eq(fed != committed)
            m.d.comb += [reads.eq((credit != 0) & ~finished & some & (pause == 0)), last.eq(ends)]
            with m.If(reads):
                m.d.sync += [fed.eq(fed + 1), pause.eq(PAUSE - 1)]
            with m.Elif(pause != 0):
                m.d.sync += pause.eq(pause - 1)
        with m.If(reads & last):
            m.d.sync += finished.eq(1)
        with m.If(reads & ~queue.freed):
            m.d.sync += credit.eq(credit - 1)
        with m.Elif(queue.freed & ~reads):
            m.d.sync += credit.eq(credit + 1)
        latency = memories[0].latency
        m.d.comb += [memory.address.eq(fed[: ceil_log2(self.depth)]) for memory in memories]
        m.d.comb += [
            queue.push.eq(delay(m, reads, latency, "read")),
            queue.word.eq(Cat(*(memory.data for memory in memories), delay(m, last, latency, "last"))),
        ]
        m.d.comb += [
            self.o.valid.eq(queue.o.valid),
            Value.cast(self.o.payload).eq(queue.o.payload),
            queue.o.ready.eq(self.o.ready),
        ]
        return m
