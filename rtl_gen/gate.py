"""Holds the next position of a walk until its inputs have arrived.

Positions move up whether or not their inputs are there. Whether they are is a register beside each place, compared
beforehand, so that no choice follows a sum; and because of the place between, whoever takes a position does not reach
the walker in that cycle.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.walker import Walker, WalkerShape

__all__ = ["Gate"]


class Gate(wiring.Component):
    """The positions of a walk, in order; each is `ready` in the second cycle after its last word counts, or later.

    Members
    -------
    written : In
        Words in the ring since reset.
    o : Out
        The position at hand, with the `limit` of the one behind it: what a finished position leaves room for.
    ready : Out
        All its inputs have arrived.
    take : In
        The next one, please.
    """

    def __init__(self, walk: WalkerShape):
        self.walk = walk
        super().__init__(
            {
                "written": In(unsigned(walk.pointer_bits)),
                "o": Out(walk.descriptor()),
                "ready": Out(1),
                "take": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.walker = walker = Walker(self.walk)
        layout = self.walk.descriptor()
        # From the walker on: waiting for its successor, whose `limit` it takes; behind the head; the head.
        waiting, passed, behind, head = (Signal(layout, name=n) for n in ("waiting", "passed", "behind", "head"))
        waiting_valid, behind_valid, head_valid, head_ready = Signal(), Signal(), Signal(), Signal()
        # Whether their words had arrived a cycle ago.
        waiting_ready, behind_ready = Signal(), Signal()
        written = Signal.like(self.written)
        fire, taken = Signal(), Signal()
        m.d.sync += written.eq(self.written)

        def arrived(position: data.View, words: Value, name: str) -> Signal:
            margin = Signal(self.walk.pointer_bits, name=f"margin_{name}")
            here = Signal(name=f"arrived_{name}")
            m.d.comb += [margin.eq(words - position.need), here.eq(~margin[-1])]
            return here

        m.d.comb += [
            fire.eq(waiting_valid & walker.valid & ~behind_valid),
            taken.eq(self.take | ~head_valid),
            # One is held behind the head only while one waits and one is at the walker's output.
            walker.advance.eq(~behind_valid),
            passed.eq(waiting),
            passed.limit.eq(walker.o.limit),
            self.o.eq(head),
            self.ready.eq(head_ready),
        ]
        waits = arrived(waiting, self.written, "waiting")
        m.d.sync += [
            waiting_ready.eq(waits),
            behind_ready.eq(Mux(behind_valid, arrived(behind, self.written, "behind"), waits)),
            head_ready.eq(head_valid & arrived(head, written, "head")),
            # One expression, not a branch that clears it: as a synchronous reset, `take` would come over the general
            # routing, late.
            behind_valid.eq((behind_valid | fire) & ~taken),
        ]
        with m.If(walker.valid & walker.advance):
            m.d.sync += [
                waiting.eq(walker.o),
                waiting_valid.eq(1),
                waiting_ready.eq(arrived(walker.o, self.written, "walker")),
            ]
        with m.If(taken):
            m.d.sync += [
                head.eq(Mux(behind_valid, behind, passed)),
                head_valid.eq(behind_valid | fire),
                head_ready.eq(Mux(behind_valid, behind_ready, fire & waiting_ready)),
            ]
        with m.If(fire):
            m.d.sync += behind.eq(passed)
        return m
