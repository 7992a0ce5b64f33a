"""Products of two streams, rounded once: value by value, or each channel by one value for all positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.record import FormatRecord, Record, Small, Tensors
from qtt_hw.graph.requantize import requantized, shifted_type

__all__ = ["MOST_BITS", "Multiplication", "MultiplicationRecord"]

#: Of a factor.
MOST_BITS = 16


@dataclass(frozen=True)
class Multiplication(Node):
    """y[v] = requant(a[v] * b[v]), or requant(a[v] * b) where b has a single position: a gate of each channel.

    Parameters
    ----------
    requant : Requantizer
        Without a multiplier, from the product's scale; ReLU is an unsigned output's lower bound.
    """

    reads = 2
    rescales = True
    tags = ("multiplication",)

    requant: Requantizer

    @staticmethod
    def of(name: str, inputs: tuple[str, str], source: str, a: Format, b: Format, out: Format) -> Multiplication:
        """The product of inputs of two formats, in a third."""
        return Multiplication(name, inputs, source, Requantizer(out, a.frac + b.frac - out.frac))

    def output(self, *inputs: Edge) -> Edge:
        a, b = inputs
        if b.shape not in (a.shape, (1, 1, 1, a.channels)):
            raise ValueError(f"multiplies {list(a.shape)} by {list(b.shape)}")
        widest = max(a.format.bits, b.format.bits)
        if widest > MOST_BITS:
            raise ValueError(f"multiplies values of {widest} bits, {MOST_BITS} are the most")
        if self.requant.shift != a.format.frac + b.format.frac - self.requant.out.frac:
            raise ValueError(f"shift {self.requant.shift} does not bring a product to its output's scale")
        if self.requant.affine:
            raise ValueError("its requantiser has a multiplier")
        self.requant.check(*self.range(a, b))
        return Edge(a.shape, self.requant.out)

    def range(self, a: Edge, b: Edge) -> tuple[int, int]:
        """Least and greatest product."""
        ends = [x * y for x in (a.format.minimum, a.format.maximum) for y in (b.format.minimum, b.format.maximum)]
        return min(ends), max(ends)

    def macs(self, *inputs: Edge) -> int:
        a, _ = inputs
        return a.positions * a.channels

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        (a, first), (b, second) = streams
        kind = shifted_type(self.requant, *self.range(first, second))
        return requantized(self.requant, np.multiply(a, b, dtype=kind))

    def narrowed(self, *inputs: Edge, weights: int, outputs: int) -> Multiplication:
        a, b = inputs
        out = self.requant.coarser(outputs).out
        return Multiplication.of(self.name, (self.inputs[0], self.inputs[1]), self.source, a.format, b.format, out)

    def record(self, tensors: Tensors) -> MultiplicationRecord:
        return MultiplicationRecord(
            name=self.name,
            inputs=self.inputs,
            source=self.source,
            out_format=FormatRecord.of(self.requant.out),
            shift=self.requant.shift,
        )


class MultiplicationRecord(Record):
    """The JSON of a product, which has no tensors."""

    kind: Literal["multiplication"] = "multiplication"
    out_format: FormatRecord
    shift: Small

    def build(self, tensors: Tensors) -> Multiplication:
        return Multiplication(self.name, self.inputs, self.source, Requantizer(self.out_format.build(), self.shift))
