"""The output side of a stage: results become words, and words wait in a small memory that the credits fill.

`Serializer` takes the parallel results of one position's group and hands them on a few lanes a cycle, so that one
requantiser serves many accumulators. `OutputQueue` never refuses a word: the sequencer issued it against a credit.
`StageOutput` is both, with the requantiser between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl_gen.families import Family
from rtl_gen.reduce import shape_of
from rtl_gen.requantizer import RequantizeUnit

if TYPE_CHECKING:
    from rtl_gen.kinds.windowed import WindowSpec

__all__ = ["OutputQueue", "Serializer", "StageOutput"]


#: Registers above which a serialiser shifts in every cycle: what it holds matters only while words are left, and an
#: enable of so many is the slowest net of a large design.
FREE_BITS = 256


class Serializer(wiring.Component):
    """Words of `lanes` values from groups of `values`, lowest first; a group at most every values / lanes cycles.

    The first word follows one cycle after the group; with one word to a group the group passes through at once.
    """

    def __init__(self, shape: Shape, *, values: int, lanes: int):
        self.shape, self.values, self.lanes = shape, values, lanes
        self.latency = 0 if values == lanes else 1
        super().__init__(
            {
                "i": In(data.ArrayLayout(shape, values)),
                "i_valid": In(1),
                "o": Out(data.ArrayLayout(shape, lanes)),
                "o_valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.values == self.lanes:
            m.d.comb += [self.o.eq(self.i), self.o_valid.eq(self.i_valid)]
            return m
        words = self.values // self.lanes
        word = self.lanes * self.shape.width
        held = Signal(self.values * self.shape.width)
        left = Signal(range(words + 1))
        if len(held) > FREE_BITS:
            m.d.sync += held.eq(held[word:])
        with m.If(self.i_valid):
            m.d.sync += [held.eq(Value.cast(self.i)), left.eq(words)]
        with m.Elif(self.o_valid):
            m.d.sync += [held.eq(held[word:]), left.eq(left - 1)]
        m.d.comb += [Value.cast(self.o).eq(held[:word]), self.o_valid.eq(left != 0)]
        return m


class OutputQueue(wiring.Component):
    """A queue of `depth` words and a register at its output.

    A word pushed in cycle t leaves the memory at t + 1 or later, when the output register is empty or taken; it is
    then `freed`, and stands at the output from the next cycle on.
    """

    def __init__(self, width: int, depth: int, family: Family):
        self.width, self.depth, self.family = width, depth, family
        super().__init__(
            {
                "push": In(1),
                "word": In(unsigned(width)),
                "freed": Out(1),
                "o": Out(stream.Signature(unsigned(width))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kind = self.family.memory
        block = kind.queue_in_block(self.depth, self.width)
        m.submodules.memory = memory = Memory(
            shape=unsigned(self.width),
            depth=self.depth,
            init=[],
            attrs=dict(kind.block_ram if block else kind.queue_ram),
        )
        write, read = memory.write_port(), memory.read_port(domain="comb" if kind.lut_ram else "sync")
        # Where memories are read by the clock, the address is that of the next cycle.
        read_address = read.addr if kind.lut_ram else Signal.like(read.addr, name="read_address")
        level = Signal(range(self.depth + 1))
        occupied = Signal()
        m.d.comb += [
            write.data.eq(self.word),
            write.en.eq(self.push),
            self.freed.eq(occupied & (~self.o.valid | self.o.ready)),
        ]
        for address, enable in ((write.addr, self.push), (read_address, self.freed)):
            with m.If(enable):
                m.d.sync += address.eq(Mux(address == self.depth - 1, 0, address + 1))
        # Beside the sum, not behind it: whether any word is left.
        several, one = Signal(), Signal()
        m.d.comb += [several.eq(level[1:].any()), one.eq(level[0] & ~several)]
        m.d.sync += occupied.eq(self.push | several | (one & ~self.freed))
        with m.If(self.push ^ self.freed):  # which comes late, and so decides whether to count, not in which direction
            m.d.sync += level.eq((level + Mux(self.push, 1, -1))[: len(level)])
        word = read.data
        if not kind.lut_ram:
            after = Mux(read_address == self.depth - 1, 0, read_address + 1)
            m.d.comb += [read.en.eq(1), read.addr.eq(Mux(self.freed, after, read_address))]
            # A word that is read when it is written passes the memory by.
            passed, passes = Signal(self.width, reset_less=True), Signal(reset_less=True)
            m.d.sync += [passed.eq(self.word), passes.eq(self.push & ~(several | (one & ~self.freed)))]
            word = Mux(passes, passed, read.data)
        with m.If(self.freed):
            m.d.sync += [self.o.payload.eq(word), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class StageOutput(wiring.Component):
    """A stage's results to its output stream: serialiser, requantiser where it has one, and output queue.

    Parameters
    ----------
    spec : WindowSpec

    Members
    -------
    i : In
        `spec.out_width` results, in the cycles with `i_valid`.
    row : In
        The row of an average, with `i_valid`.
    freed : Out
        High in each cycle in which one output word leaves the queue's memory.
    o : Out(stream)
    """

    def __init__(self, spec: WindowSpec):
        self.spec = spec
        requant = spec.requant
        self.shape = signed(spec.accumulator_bits) if requant is not None else shape_of(spec.x.format)
        rows = len(requant.multiplier or ()) if requant is not None else 0
        super().__init__(
            {
                "i": In(data.ArrayLayout(self.shape, spec.out_width)),
                "i_valid": In(1),
                "row": In(unsigned(max(ceil_log2(max(rows, 1)), 1))),
                "freed": Out(1),
                "o": Out(stream.Signature(unsigned(spec.folding.lanes * spec.out.format.bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, lanes = self.spec, self.spec.folding.lanes
        m.submodules.serializer = serializer = Serializer(self.shape, values=spec.out_width, lanes=lanes)
        m.submodules.queue = queue = OutputQueue(lanes * spec.out.format.bits, spec.folding.queue, spec.family)
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        m.d.comb += [
            serializer.i.eq(self.i),
            serializer.i_valid.eq(self.i_valid),
            self.freed.eq(queue.freed),
        ]
        if spec.requant is None:
            m.d.comb += [queue.word.eq(Value.cast(serializer.o)), queue.push.eq(serializer.o_valid)]
            return m

        low, high = spec.accumulator
        m.submodules.requantizer = requantizer = RequantizeUnit(
            spec.requant,
            low=low,
            high=high,
            lanes=lanes,
            words=spec.out.channels // lanes,
            by_channel=spec.by_channel,
            family=spec.family,
        )
        row = self.row
        if serializer.latency:
            row = Signal.like(self.row, name="row_held")
            with m.If(self.i_valid):
                m.d.sync += row.eq(self.row)
        m.d.comb += [
            Value.cast(requantizer.i).eq(Value.cast(serializer.o)),
            requantizer.i_valid.eq(serializer.o_valid),
            requantizer.row.eq(row),
            queue.word.eq(Cat(requantizer.o[lane] for lane in range(lanes))),
            queue.push.eq(requantizer.o_valid),
        ]
        return m
