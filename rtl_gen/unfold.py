"""Unfolds one axis of a stream: each output word holds all taps of a window along it, zeros for those in padding.

So the taps become channels, and lanes can work on them side by side: for first layers, whose channels are few.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qtt_hw.window import AxisWindow
from rtl_gen.delay import delay
from rtl_gen.families import Family
from rtl_gen.memory import Ram
from rtl_gen.output import OutputQueue

__all__ = ["Unfold", "UnfoldShape"]

#: Words of the queue behind it: what one LUT RAM holds, and more than are on their way to it.
QUEUE = 16


@dataclass(frozen=True)
class UnfoldShape:
    """The constants of an unfolding.

    Parameters
    ----------
    axis : AxisWindow
    inner : int
        Words of one index of the axis.
    width : int
        Bits of a word.
    family : Family
    """

    axis: AxisWindow
    inner: int
    width: int
    family: Family

    @property
    def history(self) -> int:
        """Bits of the taps before the last, of one inner word."""
        return (self.axis.kernel - 1) * self.width

    @property
    def read_latency(self) -> int:
        """Cycles from a step to the earlier words of its window: none where they stand in registers."""
        latency = self.family.memory.read_latency(self.inner, self.history)
        return latency if self.history and self.inner > latency else 0

    @property
    def latency(self) -> int:
        """Cycles from a step to the push of its word."""
        return max(self.read_latency, 1)

    @property
    def steps(self) -> int:
        """Indices of a line: those of the axis, and behind them as much padding as its last window reads."""
        axis = self.axis
        return max(axis.size, (axis.out_size - 1) * axis.stride - axis.before + axis.kernel)

    def completes(self, index: int) -> bool:
        """Whether an index is the last tap, padding included, of a window."""
        output, rest = divmod(index + 1 + self.axis.before - self.axis.kernel, self.axis.stride)
        return rest == 0 and 0 <= output < self.axis.out_size


class Unfold(wiring.Component):
    """Words of `kernel` taps, the first in the low bits, of each window along an axis of a stream in raster order.

    Timing: a step takes a word, or is one of the padding behind a line; at most one a cycle, two cycles after the
    credit that its word needs is freed, or later. The word is pushed `latency` cycles after the step.

    Members
    -------
    i : In(stream)
        Words of `shape.width` bits.
    o : Out(stream)
        Words of `shape.axis.kernel` times as many.
    """

    def __init__(self, shape: UnfoldShape):
        self.shape = shape
        taps = shape.axis.kernel * shape.width
        super().__init__({"i": In(stream.Signature(unsigned(shape.width))), "o": Out(stream.Signature(unsigned(taps)))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, axis = self.shape, self.shape.axis
        m.submodules.queue = queue = OutputQueue(shape.axis.kernel * shape.width, QUEUE, shape.family)
        wiring.connect(m, queue.o, wiring.flipped(self.o))

        # Steps: words of an index, indices of a line; behind the axis' own come those of padding.
        index, word = Signal(range(shape.steps)), Signal(range(max(shape.inner, 2)))
        pads, step, ends, last = Signal(), Signal(), Signal(), Signal(init=shape.steps == 1)
        emits, emits_next = Signal(init=shape.completes(0)), Signal()
        live = Signal(max(axis.kernel - 1, 1))  # which taps before the last lie in the line
        m.d.comb += ends.eq(word == shape.inner - 1 if shape.inner > 1 else 1)
        following = Signal.like(index)
        m.d.comb += following.eq(Mux(last, 0, index + 1))
        with m.Switch(following):
            for place in range(shape.steps):
                with m.Case(place):
                    m.d.comb += emits_next.eq(int(shape.completes(place)))
        with m.If(step):
            if shape.inner > 1:
                m.d.sync += word.eq(Mux(ends, 0, word + 1))
            with m.If(ends):
                m.d.sync += [
                    index.eq(following),
                    last.eq(following == shape.steps - 1),
                    pads.eq(following >= axis.size if shape.steps > axis.size else 0),
                    emits.eq(emits_next),
                    live.eq(Mux(last, 0, live << 1 | 1)),
                ]

        # Counted are the credits beyond one, so that the sign says whether there is one.
        spare, freed = Signal(range(-1, QUEUE), init=QUEUE - 1), Signal()
        credit = ~spare[-1]
        m.d.sync += [freed.eq(queue.freed), spare.eq((spare + freed - (step & emits))[: len(spare)].as_signed())]
        m.d.comb += [self.i.ready.eq(credit & ~pads), step.eq(credit & (pads | self.i.valid))]

        new = Signal(shape.width)
        m.d.comb += new.eq(Mux(pads, 0, self.i.payload))
        earlier, newest = self._history(m, step, word, new)
        late = shape.latency
        masks = delay(m, live, late, "live")
        taps: list[Value] = []
        for age in reversed(range(1, axis.kernel)):  # the oldest first
            taps.append(Mux(masks[age - 1], earlier.word_select(axis.kernel - 1 - age, shape.width), 0))
        m.d.comb += [
            queue.word.eq(Cat(*taps, newest)),
            queue.push.eq(delay(m, step & emits, late, "emits")),
        ]
        return m

    def _history(self, m: Module, step: Value, word: Value, new: Value) -> tuple[Value, Value]:
        """The taps before a step's, oldest first, and its own, `latency` later."""
        shape = self.shape
        if not shape.read_latency:
            held = [Signal(shape.width, name=f"held_{k}") for k in range((shape.axis.kernel - 1) * shape.inner + 1)]
            with m.If(step):
                m.d.sync += [after.eq(before) for after, before in zip(held, [new, *held], strict=False)]
            return Cat(*reversed(held[shape.inner :: shape.inner])), held[0]
        m.submodules.rows = rows = Ram(shape.inner, shape.history, shape.family)
        newest = delay(m, new, shape.latency, "new")
        m.d.comb += [
            rows.address.eq(word),
            rows.write_enable.eq(delay(m, step, shape.latency, "step")),
            rows.write_address.eq(delay(m, word, shape.latency, "word")),
            rows.write_data.eq(Cat(rows.data[shape.width :], newest)),
        ]
        return rows.data, newest
