"""Permutations: channels in another order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Permutation
from qtt_hw.lower.draft import Draft, Setting
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.window import Shape

__all__ = ["PermutationDraft", "PermutationStage"]


class PermutationStage(Stage):
    """y[v, j] = x[v, order[j]]."""

    order: Tensor

    def __init__(self, place: Place, order: tuple[int, ...]) -> None:
        super().__init__(place, place.shape)
        self.register_buffer("order", torch.tensor(order, dtype=torch.int64), persistent=False)

    def floats(self, *inputs: Tensor) -> Tensor:
        return inputs[0].index_select(1, self.order)

    def integers(self, *streams: Stream) -> Tensor:
        return self.floats(streams[0][0])

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        return self.integers(*streams)

    def node(self, *formats: Format) -> Permutation:
        return Permutation(self.name, self.inputs, self.source, tuple(self.order.tolist()))


@dataclass
class PermutationDraft(Draft):
    order: tuple[int, ...]

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def build(self, setting: Setting) -> PermutationStage:
        return PermutationStage(self.place, self.order)
