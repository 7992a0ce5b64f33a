"""Sums of two streams at the finer one's scale, rounded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.record import FormatRecord, Record, Small, Tensors
from qtt_hw.graph.requantize import requantized, shifted_type

__all__ = ["Add", "AddRecord"]


@dataclass(frozen=True)
class Add(Node):
    """y = requant((a << left[0]) + (b << left[1])): the sum of two streams at the finer one's scale, rounded once.

    Parameters
    ----------
    left : (int, int)
        Shifts that bring both inputs to the same frac, at least one of them 0.
    requant : Requantizer
        Without a multiplier; ReLU is an unsigned output's lower bound.
    """

    reads = 2
    rescales = True
    tags = ("add",)

    left: tuple[int, int]
    requant: Requantizer

    @staticmethod
    def aligned(name: str, inputs: tuple[str, str], source: str, a: Format, b: Format, out: Format) -> Add:
        """The sum of inputs of two formats, in a third."""
        frac = max(a.frac, b.frac)
        return Add(name, inputs, source, (frac - a.frac, frac - b.frac), Requantizer(out, frac - out.frac))

    def output(self, *inputs: Edge) -> Edge:
        a, b = inputs
        if a.shape != b.shape:
            raise ValueError(f"adds {list(b.shape)} to {list(a.shape)}")
        if a.format.frac + self.left[0] != b.format.frac + self.left[1] or min(self.left) != 0:
            raise ValueError(f"shifts {list(self.left)} do not bring its inputs to the finer one's scale")
        if self.requant.affine:
            raise ValueError("its requantiser has a multiplier")
        self.requant.check(*self.sums(a, b))
        return Edge(a.shape, self.requant.out)

    def sums(self, a: Edge, b: Edge) -> tuple[int, int]:
        """Range of the sum before requantisation."""
        ends = [(e.format.minimum << s, e.format.maximum << s) for e, s in zip((a, b), self.left, strict=True)]
        return ends[0][0] + ends[1][0], ends[0][1] + ends[1][1]

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        (a, first), (b, second) = streams
        kind = shifted_type(self.requant, *self.sums(first, second))
        total = np.left_shift(a, self.left[0], dtype=kind)
        total += np.left_shift(b, self.left[1], dtype=kind)
        return requantized(self.requant, total)

    def narrowed(self, *inputs: Edge, weights: int, outputs: int) -> Add:
        a, b = inputs
        out = self.requant.coarser(outputs).out
        return Add.aligned(self.name, (self.inputs[0], self.inputs[1]), self.source, a.format, b.format, out)

    def record(self, tensors: Tensors) -> AddRecord:
        return AddRecord(
            name=self.name,
            inputs=self.inputs,
            source=self.source,
            left=self.left,
            out_format=FormatRecord.of(self.requant.out),
            shift=self.requant.shift,
        )


class AddRecord(Record):
    """The JSON of a sum, which has no tensors."""

    kind: Literal["add"] = "add"
    left: tuple[Small, Small]
    out_format: FormatRecord
    shift: Small

    def build(self, tensors: Tensors) -> Add:
        requant = Requantizer(self.out_format.build(), self.shift)
        return Add(self.name, self.inputs, self.source, self.left, requant)
