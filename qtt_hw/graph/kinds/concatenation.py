"""Concatenations: the channels of several streams one after the other, at one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.record import FormatRecord, Name, Record, Small, Tensors
from qtt_hw.graph.requantize import requantized, shifted_type

__all__ = ["MOST_STREAMS", "Concatenation", "ConcatenationRecord"]

#: That are put together at once.
MOST_STREAMS = 1024


@dataclass(frozen=True)
class Concatenation(Node):
    """y[v] = requant(x0[v] << left[0]), requant(x1[v] << left[1]), ...: the channels of one stream after another's.

    Parameters
    ----------
    left : tuple of int, [inputs]
        Shifts that bring the inputs to the finest one's frac, at least one of them 0.
    requant : Requantizer
        Without a multiplier; ReLU is an unsigned output's lower bound.
    """

    reads = None
    rescales = True
    tags = ("concatenation",)

    left: tuple[int, ...]
    requant: Requantizer

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(self.inputs) <= MOST_STREAMS:
            raise ValueError(f"stage {self.name}: puts {len(self.inputs)} streams together, 2 to {MOST_STREAMS} can be")
        if len(self.left) != len(self.inputs):
            raise ValueError(f"stage {self.name}: has {len(self.left)} shifts for {len(self.inputs)} inputs")

    @staticmethod
    def aligned(
        name: str, inputs: tuple[str, ...], source: str, formats: Sequence[Format], out: Format
    ) -> Concatenation:
        """Of inputs of some formats, in another."""
        frac = max(fmt.frac for fmt in formats)
        left = tuple(frac - fmt.frac for fmt in formats)
        return Concatenation(name, inputs, source, left, Requantizer(out, frac - out.frac))

    def output(self, *inputs: Edge) -> Edge:
        first = inputs[0]
        for other in inputs[1:]:
            if other.shape[:3] != first.shape[:3]:
                raise ValueError(f"puts channels of {list(other.shape[:3])} positions beside {list(first.shape[:3])}")
        fracs = {edge.format.frac + left for edge, left in zip(inputs, self.left, strict=True)}
        if len(fracs) > 1 or min(self.left) != 0:
            raise ValueError(f"shifts {list(self.left)} do not bring its inputs to the finest one's scale")
        if self.requant.affine:
            raise ValueError("its requantiser has a multiplier")
        self.requant.check(*self.range(*inputs))
        return Edge((*first.shape[:3], sum(edge.channels for edge in inputs)), self.requant.out)

    def range(self, *inputs: Edge) -> tuple[int, int]:
        """Least and greatest value before requantisation."""
        ends = [(e.format.minimum << s, e.format.maximum << s) for e, s in zip(inputs, self.left, strict=True)]
        return min(low for low, _ in ends), max(high for _, high in ends)

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        kind = shifted_type(self.requant, *self.range(*(edge for _, edge in streams)))
        aligned = [np.left_shift(x, left, dtype=kind) for (x, _), left in zip(streams, self.left, strict=True)]
        return requantized(self.requant, np.concatenate(aligned, axis=-1))

    def narrowed(self, *inputs: Edge, weights: int, outputs: int) -> Concatenation:
        out = self.requant.coarser(outputs).out
        return Concatenation.aligned(self.name, self.inputs, self.source, [edge.format for edge in inputs], out)

    def record(self, tensors: Tensors) -> ConcatenationRecord:
        return ConcatenationRecord(
            name=self.name,
            inputs=self.inputs,
            source=self.source,
            left=self.left,
            out_format=FormatRecord.of(self.requant.out),
            shift=self.requant.shift,
        )


class ConcatenationRecord(Record):
    """The JSON of a concatenation, which has no tensors."""

    kind: Literal["concatenation"] = "concatenation"
    inputs: Annotated[tuple[Name, ...], Field(max_length=MOST_STREAMS)]
    left: Annotated[tuple[Small, ...], Field(max_length=MOST_STREAMS)]
    out_format: FormatRecord
    shift: Small

    def build(self, tensors: Tensors) -> Concatenation:
        requant = Requantizer(self.out_format.build(), self.shift)
        return Concatenation(self.name, self.inputs, self.source, self.left, requant)
