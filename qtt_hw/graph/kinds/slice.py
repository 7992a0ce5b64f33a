"""Slices: some neighbouring channels of every position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from numpy.typing import NDArray
from pydantic import Field

from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.record import Record, Size, Tensors
from qtt_hw.window import MOST_CHANNELS

__all__ = ["Slice", "SliceRecord"]


@dataclass(frozen=True)
class Slice(Node):
    """y[v] = x[v, first : first + count]: some neighbouring channels of every position v."""

    tags = ("slice",)

    first: int
    count: int

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        if self.first < 0 or self.count < 1 or self.first + self.count > x.channels:
            end = self.first + self.count
            raise ValueError(f"takes channels {self.first} to {end} of {x.channels}")
        return Edge((*x.shape[:3], self.count), x.format)

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        ((x, _),) = streams
        return x[..., self.first : self.first + self.count]

    def record(self, tensors: Tensors) -> SliceRecord:
        return SliceRecord(name=self.name, inputs=self.inputs, source=self.source, first=self.first, count=self.count)


class SliceRecord(Record):
    """The JSON of a slice, which has no tensors."""

    kind: Literal["slice"] = "slice"
    first: Annotated[int, Field(ge=0, le=MOST_CHANNELS)]
    count: Size

    def build(self, tensors: Tensors) -> Slice:
        return Slice(self.name, self.inputs, self.source, self.first, self.count)
