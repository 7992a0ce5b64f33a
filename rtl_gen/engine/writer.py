"""Takes an engine's results to where they belong, into a ring or out, and says what is added to them on the way."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from rtl_gen.engine.code import Code
from rtl_gen.engine.reader import ProgramReader
from rtl_gen.families import Family

__all__ = ["ResultWriter"]


class ResultWriter(wiring.Component):
    """Says of each word of requantised values, as it enters the requantiser, what is to become of it.

    Words of a position come one after the other, the lowest channels first. They fill memory words slice by slice;
    those beyond the position's last memory word, or output channel, are dropped.

    Parameters
    ----------
    code : Code
        Of `write_code`.
    rows : int
        Of the requantiser.
    slices : int
        Words that fill a memory word.
    depth : int
        Memory words.
    summed : int
        Words of the memories that summands are read from; 0 where nothing is added.
    ring, pointer_bits : int
        Words of the stream's ring, and bits of `limit`.
    family : Family

    Members
    -------
    valid, position_ends, job_ends : In
        A word is there; it is its position's, its job's last, which is said of no cycle without a word.
    row, shift, clamp, stage : Out
        Of the word that is there.
    sum, sum_signed, adds, adds_outside : Out
        What is added to it.
    summand : Out
        The address of the memory word that has it.
    write, push : Out
        It goes into the memory, to the output queue.
    observe : Out
        It has channels of the stage, not padding.
    slice, address : Out
        Where in the memory.
    limit : Out
        Words of the stream since reset up to which its ring has room: what a job read is free when its last result is
        here, since a summand is read that late.
    """

    def __init__(
        self,
        code: Code,
        *,
        rows: int,
        slices: int,
        depth: int,
        summed: int,
        ring: int,
        pointer_bits: int,
        family: Family,
    ):
        self.code, self.slices, self.summed, self.family = code, slices, summed, family
        names = ("shift", "clamp", "stage", "sum", "sum_signed", "adds", "adds_outside")
        bits = {name: unsigned(bits_for(max(code.most(name), 1))) for name in names}
        super().__init__(
            {
                **{name: In(1) for name in ("valid", "position_ends", "job_ends")},
                "row": Out(unsigned(bits_for(max(rows, 1)))),
                **{name: Out(shape) for name, shape in bits.items()},
                "write": Out(1),
                "push": Out(1),
                "observe": Out(1),
                "slice": Out(unsigned(bits_for(max(slices - 1, 1)))),
                "address": Out(unsigned(bits_for(max(depth - 1, 1)))),
                "summand": Out(unsigned(bits_for(max(summed - 1, 1)))),
                "limit": Out(unsigned(pointer_bits), init=ring),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.program = program = ProgramReader(self.code, self.family)
        head, current, loaded, loads = program.o, Signal(self.code.layout), Signal(), Signal()
        left = Signal(range(self.code.most("emits") + 1))
        keeps = Signal()
        m.d.sync += [loads.eq(program.valid & ~loads & ~loaded), loaded.eq(loaded | loads)]
        m.d.comb += [
            program.take.eq(self.job_ends | loads),
            *(getattr(self, name).eq(getattr(current, name)) for name in ("shift", "clamp", "stage")),
            self.observe.eq(self.valid & keeps & (left >= current.padded)),
            self.write.eq(self.valid & keeps & ~current.out),
            self.push.eq(self.valid & keeps & current.out),
        ]
        words = {"address": self.address}
        if self.summed:
            words["summand"] = self.summand
            adding = ("sum", "sum_signed", "adds", "adds_outside")
            m.d.comb += [getattr(self, name).eq(getattr(current, name)) for name in adding]
        with m.If(self.job_ends):
            m.d.sync += self.limit.eq(self.limit + current.frees)
        with m.If(self.valid):
            m.d.sync += [self.row.eq(self.row + 1), left.eq(left - 1), keeps.eq(keeps & (left != 0))]
            with m.If(keeps):
                full = self.slice == self.slices - 1
                with m.If(full | self.position_ends):
                    m.d.sync += [self.slice.eq(0), *(word.eq(word + 1) for word in words.values())]
                with m.Else():
                    m.d.sync += self.slice.eq(self.slice + 1)
            with m.Elif(self.position_ends & (self.slice != 0)):
                m.d.sync += [self.slice.eq(0), *(word.eq(word + 1) for word in words.values())]
            with m.If(self.position_ends):
                m.d.sync += [self.row.eq(current.row), left.eq(current.emits), keeps.eq(1)]
        with m.If(program.take):
            m.d.sync += [
                current.eq(head),
                self.row.eq(head.row),
                *(word.eq(getattr(head, name)) for name, word in words.items()),
                self.slice.eq(0),
                left.eq(head.emits),
                keeps.eq(1),
            ]
        return m
