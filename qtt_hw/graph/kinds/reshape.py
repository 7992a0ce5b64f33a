"""Reshapes: the same stream read with other axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from numpy.typing import NDArray

from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.record import Quad, Record, Tensors
from qtt_hw.window import Shape

__all__ = ["Reshape", "ReshapeRecord"]


@dataclass(frozen=True)
class Reshape(Node):
    """The same stream read with other axes: no element moves."""

    relabels = True
    tags = ("reshape",)

    shape: Shape

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        if math.prod(self.shape) != math.prod(x.shape):
            raise ValueError(f"cannot read {list(x.shape)} as {list(self.shape)}")
        return Edge(self.shape, x.format)

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        ((x, _),) = streams
        return x.reshape(x.shape[0], *self.shape)

    def record(self, tensors: Tensors) -> ReshapeRecord:
        return ReshapeRecord(name=self.name, inputs=self.inputs, source=self.source, shape=self.shape)


class ReshapeRecord(Record):
    """The JSON of a reshape, which has no tensors."""

    kind: Literal["reshape"] = "reshape"
    shape: Quad

    def build(self, tensors: Tensors) -> Reshape:
        return Reshape(self.name, self.inputs, self.source, self.shape)
