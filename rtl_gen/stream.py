"""Width conversion between stages: a wide word handed on in narrow parts."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Splitter"]


class Splitter(wiring.Component):
    """`parts` words of `width` bits for each word taken, low bits first. (Gathering is the ring's own work.)

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
