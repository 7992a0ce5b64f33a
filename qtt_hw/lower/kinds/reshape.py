"""Reshapes: the same stream read with other axes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Reshape
from qtt_hw.lower.draft import Draft, Setting
from qtt_hw.lower.stage import Stage, Stream
from qtt_hw.window import Shape

__all__ = ["ReshapeDraft", "ReshapeStage"]


class ReshapeStage(Stage):
    """The stream D, H, W, C read with other axes."""

    def floats(self, *inputs: Tensor) -> Tensor:
        return inputs[0].permute(0, 2, 3, 4, 1).reshape(-1, *self.out_shape).permute(0, 4, 1, 2, 3)

    def integers(self, *streams: Stream) -> Tensor:
        return self.floats(streams[0][0])

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        return self.integers(*streams)

    def node(self, *formats: Format) -> Reshape:
        return Reshape(self.name, self.inputs, self.source, self.out_shape)


@dataclass
class ReshapeDraft(Draft):
    made: Shape

    @property
    def out_shape(self) -> Shape:
        return self.made

    def build(self, setting: Setting) -> ReshapeStage:
        return ReshapeStage(self.place, self.made)
