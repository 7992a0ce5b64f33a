"""Permutations: the channels of every position in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.record import Record, Tensors, take

__all__ = ["Permutation", "PermutationRecord"]


@dataclass(frozen=True)
class Permutation(Node):
    """y[v, j] = x[v, order[j]]: the channels of every position v in another order."""

    tags = ("permutation",)

    order: tuple[int, ...]

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        if sorted(self.order) != list(range(x.channels)):
            raise ValueError(f"its order is not a permutation of {x.channels} channels")
        return x

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        ((x, _),) = streams
        return x[..., list(self.order)]

    def record(self, tensors: Tensors) -> PermutationRecord:
        tensors[f"{self.name}.order"] = np.asarray(self.order, np.int32)
        return PermutationRecord(name=self.name, inputs=self.inputs, source=self.source)


class PermutationRecord(Record):
    """The JSON of a permutation, whose order is the tensor <name>.order."""

    kind: Literal["permutation"] = "permutation"

    def build(self, tensors: Tensors) -> Permutation:
        order = tuple(take(tensors, f"{self.name}.order", ("int32",)).tolist())
        return Permutation(self.name, self.inputs, self.source, order)
