"""The write side of a stage's buffer: input words go into a ring, free-running pointers say how many there are.

Pointers count words since reset modulo a power of two that exceeds twice the largest difference ever compared, so
that nothing is reset between inferences and the next one is prefetched while this one is computed.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl_gen.memory import PacedRam, Ram

__all__ = ["RingWriter"]


class RingWriter(wiring.Component):
    """Accepts a word while the ring has room; `collect` narrow words make one ring word, the first in its low bits.

    Timing: a word accepted in cycle t counts in `written` from t + 1 and can be read with an address given in t + 2
    or later; a slot within `limit` at t can be refilled by a word accepted in t + 2.

    Parameters
    ----------
    width : int
        Bits of an input word.
    collect : int
        Input words in a ring word.
    ring : int
        Capacity in ring words.
    pointer_bits : int
        Width of `written` and `limit`.
    pace : int
        Cycles from one ring word to the next, at the least: 1 or 2.

    Members
    -------
    write_enable, write_address : Out
        Of the word that `write_data` has in the next cycle.
    limit : In
        Words since reset up to which there is room: those that are released, and a ring of them more.
    """

    def __init__(self, *, width: int, collect: int, ring: int, pointer_bits: int, pace: int = 1):
        self.width = width
        self.rests = pace > collect
        self.collect = collect
        self.ring = ring
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(width))),
                "write_enable": Out(1),
                "write_address": Out(unsigned(max(ceil_log2(ring), 1))),
                "write_data": Out(unsigned(width * collect)),
                "written": Out(unsigned(pointer_bits)),
                "limit": In(unsigned(pointer_bits), init=ring),
            }
        )

    def fills(self, memory: Ram | PacedRam) -> list[Any]:
        """What writes the ring's words into a memory; there may be several."""
        return [
            memory.write_enable.eq(self.write_enable),
            memory.write_address.eq(self.write_address),
            memory.write_data.eq(self.write_data),
        ]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        accepted = Signal()
        m.d.comb += accepted.eq(self.i.valid & self.i.ready)

        complete, completed = Signal(), Signal()
        m.d.comb += self.write_enable.eq(complete)
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

        # Whether none, one or two words more would reach the limit are registers, so that `valid` only chooses.
        successor, second = Signal.like(self.written, init=1), Signal.like(self.written, init=2)
        reaches = [Signal(init=self.ring == words, name=f"reaches_{words}") for words in range(3)]
        m.d.sync += [
            flag.eq(n == self.limit) for flag, n in zip(reaches, (self.written, successor, second), strict=True)
        ]
        m.d.sync += [
            completed.eq(complete),
            # `completed`: one word more has come since these were compared.
            self.i.ready.eq(
                ~Mux(
                    complete,
                    Const(1) if self.rests else Mux(completed, reaches[2], reaches[1]),
                    Mux(completed, reaches[1], reaches[0]),
                )
            ),
        ]
        with m.If(complete):
            wrapped = self.write_address == self.ring - 1
            m.d.sync += [
                self.written.eq(successor),
                successor.eq(second),
                second.eq(second + 1),
                self.write_address.eq(Mux(wrapped, 0, self.write_address + 1)),
            ]
        return m
