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

__all__ = ["Argmax", "argmax_resources", "output_layout"]


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


class Argmax(wiring.Component):
    """classes logits in; the same logits out, then a word with `last` set whose value is the argmax.

    One word is on its way at a time: a logit is accepted once all before it have left.
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
        index, best_index = Signal(range(max(self.classes, 2))), Signal(range(max(self.classes, 2)))
        best = Signal.like(self.i.payload)
        label_next = Signal()
        accepted, leaves = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        last = index == self.classes - 1
        better = (index == 0) | (self.i.payload > best)
        with m.If(accepted):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.value.eq(self.i.payload),
                self.o.payload.last.eq(0),
                self.i.ready.eq(0),
                label_next.eq(last),
                index.eq(Mux(last, 0, index + 1)),
            ]
            with m.If(better):
                m.d.sync += [best.eq(self.i.payload), best_index.eq(index)]
        with m.Elif(leaves & label_next):
            m.d.sync += [self.o.payload.value.eq(best_index), self.o.payload.last.eq(1), label_next.eq(0)]
        with m.Else():
            # Ready only with nothing on its way, decided a cycle ahead.
            m.d.sync += [self.o.valid.eq(self.o.valid & ~leaves), self.i.ready.eq(~self.o.valid | leaves)]
        return m
