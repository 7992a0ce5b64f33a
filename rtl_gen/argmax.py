"""The end of a classifier: every logit is put out, then the index of the largest; the lowest index wins a tie."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from qtt_hw.fixedpoint import Format, bits_for_range
from qtt_hw.graph import Edge
from rtl_gen.costs.streams import argmax
from rtl_gen.families import Resources
from rtl_gen.reduce import shape_of

__all__ = ["Argmax", "argmax_cycles", "argmax_resources", "output_layout"]


def value_bits(logits: Format, classes: int) -> int:
    """Signed bits that hold every logit and every class index."""
    return max(bits_for_range(logits.minimum, logits.maximum), bits_for_range(0, classes - 1))


def output_layout(logits: Format, classes: int) -> data.StructLayout:
    """Words of the network's output: `value`, and `last` on the class index that ends an inference."""
    return data.StructLayout({"value": signed(value_bits(logits, classes)), "last": 1})


def argmax_resources(logits: Edge) -> Resources:
    """What the argmax of a network costs whose last stage puts out `logits`."""
    classes = logits.positions * logits.channels
    return argmax(logits.format.bits, value_bits(logits.format, classes), classes)


def argmax_cycles(classes: int) -> int:
    """Cycles from an inference's first logit to the next one's, at the least: two a logit, and three for the class."""
    return 2 * classes + 3


class Argmax(wiring.Component):
    """classes logits in; the same logits out, then a word with `last` set whose value is the argmax.

    One word is on its way at a time: a logit is accepted once all before it have left. The argmax stands at the output
    from the fourth cycle after the last logit's acceptance on.
    """

    def __init__(self, logits: Format, classes: int):
        self.logits, self.classes = logits, classes
        super().__init__(
            {
                "i": In(stream.Signature(shape_of(logits))),
                "o": Out(stream.Signature(output_layout(logits, classes))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        numbers = range(max(self.classes, 2))
        index, number, best_index = (Signal(numbers, name=name) for name in ("index", "number", "best_index"))
        best = Signal.like(self.i.payload)
        first, better, label_next = Signal(), Signal(), Signal()
        accepted, leaves = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        free = ~self.o.valid | leaves
        last = index == self.classes - 1
        # A logit is compared in the cycle after its acceptance, and becomes the best in the next, while it is at the
        # output or gone.
        compares, decides = Signal(), Signal()
        m.d.sync += [compares.eq(accepted), decides.eq(compares)]
        held = self.o.payload.value[: len(best)]
        # The sign of a difference is one carry chain; a comparison of signed values becomes two.
        margin = Signal(signed(len(best) + 1))
        m.d.comb += margin.eq(best - (held.as_signed() if best.shape().signed else held))
        m.d.sync += better.eq(first | margin[-1])
        with m.If(decides & better):
            m.d.sync += [best.eq(held), best_index.eq(number)]
        with m.If(accepted):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.value.eq(self.i.payload),
                self.o.payload.last.eq(0),
                self.i.ready.eq(0),
                label_next.eq(last),
                first.eq(index == 0),
                number.eq(index),
                index.eq(Mux(last, 0, index + 1)),
            ]
        with m.Elif(label_next & free & ~compares & ~decides):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.value.eq(best_index),
                self.o.payload.last.eq(1),
                label_next.eq(0),
            ]
        with m.Else():
            # Ready only with nothing on its way, decided a cycle ahead.
            m.d.sync += [self.o.valid.eq(self.o.valid & ~leaves), self.i.ready.eq(free & ~label_next)]
        return m
