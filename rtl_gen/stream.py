"""Width conversion between stages: a wide word handed on in narrow parts, narrow words gathered to a wide one."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Gatherer", "Splitter"]


class Splitter(wiring.Component):
    """`parts` words of `width` bits for each word taken, low bits first.

    The next word is taken after the last part has left, so a word costs parts + 1 cycles at least.
    """

    def __init__(self, width: int, parts: int):
        self.width, self.parts = width, parts
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(width * parts))),
                "o": Out(stream.Signature(unsigned(width))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = Signal(self.width * self.parts)
        left, following = Signal(range(self.parts + 1)), Signal(range(self.parts + 1))
        accepted, leaves = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.comb += [
            following.eq(Mux(accepted, self.parts, left - leaves)),
            self.o.payload.eq(held[: self.width]),
        ]
        m.d.sync += [left.eq(following), self.i.ready.eq(following == 0), self.o.valid.eq(following != 0)]
        with m.If(accepted):
            m.d.sync += held.eq(self.i.payload)
        with m.Elif(leaves):
            m.d.sync += held.eq(held[self.width :])
        return m


class Gatherer(wiring.Component):
    """One word of `parts` times `width` bits for each `parts` words taken, the first in the low bits.

    A word's last part is accepted once the word before has left; at full rate that costs nothing. (Stages with a ring
    gather by themselves.)
    """

    def __init__(self, width: int, parts: int):
        if parts < 2:
            raise ValueError(f"a word is gathered from at least two parts, not {parts}")
        self.width, self.parts = width, parts
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(width))),
                "o": Out(stream.Signature(unsigned(width * parts))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = Signal(self.width * (self.parts - 1))
        part, following = Signal(range(self.parts)), Signal(range(self.parts))
        accepted, completes, waits = Signal(), Signal(), Signal()
        at_last = part == self.parts - 1
        m.d.comb += [
            accepted.eq(self.i.valid & self.i.ready),
            completes.eq(accepted & at_last),
            following.eq(Mux(completes, 0, part + accepted)),
            waits.eq(completes | (self.o.valid & ~self.o.ready)),  # a whole word does in the next cycle
        ]
        m.d.sync += [
            part.eq(following),
            self.o.valid.eq(waits),
            self.i.ready.eq((following != self.parts - 1) | ~waits),
        ]
        with m.If(completes):
            m.d.sync += self.o.payload.eq(Cat(held, self.i.payload))
        with m.If(accepted):
            m.d.sync += held.eq(Cat(held, self.i.payload)[self.width :])
        return m
