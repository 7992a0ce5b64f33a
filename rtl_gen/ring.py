"""The write side of a stage's buffer: input words go into a ring, free-running pointers say how many there are.

Pointers count words since reset modulo a power of two that exceeds twice the largest difference ever compared, so
that nothing is reset between inferences and the next one is prefetched while this one is computed.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["RingWriter"]


class RingWriter(wiring.Component):
    """Accepts a word while the ring has room; `collect` narrow words make one ring word, the first in its low bits.

    Timing: a word accepted in cycle t counts in `written` from t + 1 and can be read with an address given in t + 2
    or later; a slot released in `released` at t can be refilled by a word accepted in t + 1.

    Parameters
    ----------
    width : int
        Bits of an input word.
    collect : int
        Input words in a ring word.
    ring : int
        Capacity in ring words.
    pointer_bits : int
        Width of `written` and `released`.
    """

    def __init__(self, *, width: int, collect: int, ring: int, pointer_bits: int):
        self.width = width
        self.collect = collect
        self.ring = ring
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(width))),
                "write_enable": Out(1),
                "write_address": Out(unsigned(max(ceil_log2(ring), 1))),
                "write_data": Out(unsigned(width * collect)),
                "written": Out(unsigned(pointer_bits)),
                "released": In(unsigned(pointer_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        accepted = Signal()
        m.d.comb += accepted.eq(self.i.valid & self.i.ready)

        complete = Signal()
        if self.collect == 1:
            m.d.comb += complete.eq(accepted)
            m.d.sync += self.write_data.eq(self.i.payload)
        else:
            filled = Signal(range(self.collect))
            last = Signal()
            m.d.comb += [last.eq(filled == self.collect - 1), complete.eq(accepted & last)]
            with m.If(accepted):
                m.d.sync += [
                    filled.eq(Mux(last, 0, filled + 1)),
                    self.write_data.eq(Cat(self.write_data[self.width :], self.i.payload)),
                ]

        # Two comparisons side by side, then a choice: the adder is not in the path from `valid` to `ready`.
        successor = Signal.like(self.written, init=1)
        limit = Signal.like(self.written, init=self.ring)
        m.d.comb += limit.eq(self.released + self.ring)
        m.d.sync += [
            self.write_enable.eq(complete),
            self.i.ready.eq(Mux(complete, successor != limit, self.written != limit)),
        ]
        with m.If(complete):
            m.d.sync += [self.written.eq(successor), successor.eq(successor + 1)]
        with m.If(self.write_enable):
            wrapped = self.write_address == self.ring - 1
            m.d.sync += self.write_address.eq(Mux(wrapped, 0, self.write_address + 1))
        return m
