"""One stream to several readers: each takes a word at its own time, and the word is done when all have."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Fork"]


class Fork(wiring.Component):
    """An eager fork: every word at `i` is offered to all readers at once, and taken when the last has it.

    No cycle lies between `i` and the readers. The readers' `ready` are registers, so that the path through here to the
    `ready` of `i` is one function.

    Parameters
    ----------
    width : int
        Bits of a word.
    readers : int

    Members
    -------
    i : In(stream)
    o : Out(stream), [readers]
    """

    def __init__(self, width: int, readers: int):
        if readers < 2:
            raise ValueError(f"a fork has at least two readers, not {readers}")
        self.readers = readers
        word = stream.Signature(unsigned(width))
        super().__init__({"i": In(word), "o": Out(word).array(readers)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        served = [Signal(name=f"served_{k}") for k in range(self.readers)]  # has the word that is at hand
        has = [Signal(name=f"has_{k}") for k in range(self.readers)]  # has it after this cycle
        m.d.comb += self.i.ready.eq(Cat(has).all())
        for k in range(self.readers):
            m.d.comb += [
                self.o[k].payload.eq(self.i.payload),
                self.o[k].valid.eq(self.i.valid & ~served[k]),
                has[k].eq(served[k] | self.o[k].ready),
            ]
            with m.If(self.i.valid):
                m.d.sync += served[k].eq(has[k] & ~self.i.ready)
        return m
