"""The residual shortcut that subsamples: in the graph a contraction whose kernel is an identity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Contraction
from qtt_hw.lower.draft import Draft, Setting
from qtt_hw.lower.kinds.rearrange import need_volume
from qtt_hw.lower.lowering import Kind, Lowering, place
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.lower.value import Value
from qtt_hw.nn.subsample import Subsample, subsample
from qtt_hw.window import Shape, Window

__all__ = ["SUBSAMPLE", "SubsampleDraft", "SubsampleStage"]


class SubsampleStage(Stage):
    """Every `stride`-th position between channels of zeros.

    Parameters
    ----------
    place : Place
    stride : (int, int, int)
    channels : int
        Of the output, at least the input's.
    before : int
        Channels of zeros in front of the input's.
    """

    def __init__(self, place: Place, stride: tuple[int, int, int], channels: int, before: int) -> None:
        self.window = Window(stride=stride)
        super().__init__(place, (*self.window.out_positions(place.shape), channels))
        self.before = before

    def floats(self, *inputs: Tensor) -> Tensor:
        y = subsample(inputs[0], self.window.stride, self.before, self.out_shape[3])
        return y.contiguous(memory_format=torch.channels_last_3d)

    def integers(self, *streams: Stream) -> Tensor:
        return self.floats(streams[0][0])

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        return self.integers(*streams)

    def node(self, *formats: Format) -> Contraction:
        (fmt,) = formats
        weight = np.zeros((self.out_shape[3], 1, 1, 1, self.in_shape[3]), np.int64)
        taken = np.arange(self.in_shape[3])
        weight[taken + self.before, 0, 0, 0, taken] = 1
        identity = Format(2, True, 0, narrow=True)
        return Contraction(
            self.name, self.inputs, self.source, self.window, as_integers(weight), identity, Requantizer(fmt, 0)
        )


@dataclass
class SubsampleDraft(Draft):
    stride: tuple[int, int, int]
    channels: int
    before: int

    @property
    def out_shape(self) -> Shape:
        return (*Window(stride=self.stride).out_positions(self.in_shape), self.channels)

    def build(self, setting: Setting) -> SubsampleStage:
        return SubsampleStage(self.place, self.stride, self.channels, self.before)


def _subsample(lowering: Lowering, name: str, layer: Subsample, x: Value) -> Value:
    need_volume(x)
    d, h, w = (layer.stride if size > 1 else 1 for size in x.shape[:3])
    draft = SubsampleDraft(place(name, name, x), (d, h, w), layer.out_channels, layer.before)
    return lowering.append(draft, replace(x, norm_target=None))


SUBSAMPLE = Kind({Subsample: _subsample}, viewing=True)
