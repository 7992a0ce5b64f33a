"""Positions left out, and zeros around positions and channels: in the graph a contraction with an identity's kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Contraction
from qtt_hw.lower.draft import Draft, Setting
from qtt_hw.lower.kinds.rearrange import need_volume
from qtt_hw.lower.lowering import Kind, Lowering, place
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.lower.value import Value
from qtt_hw.nn.subsample import Subsample, subsample
from qtt_hw.nn.window import Pairs, Triple, flat_padding
from qtt_hw.window import Shape, Window

__all__ = ["SUBSAMPLE", "SubsampleDraft", "SubsampleStage"]

#: No zeros.
NONE: Pairs = ((0, 0), (0, 0), (0, 0))


class SubsampleStage(Stage):
    """Every `stride`-th position of a map with zeros around it, between channels of zeros.

    Parameters
    ----------
    place : Place
    stride : (int, int, int)
    channels : int
        Of the output, at least the input's.
    before : int
        Channels of zeros in front of the input's.
    zeros : three pairs of int
        Positions of zeros before and after, on D, H, W.
    """

    def __init__(self, place: Place, stride: Triple, channels: int, before: int, zeros: Pairs = NONE) -> None:
        self.window = window_of(stride, zeros)
        super().__init__(place, (*self.window.out_positions(place.shape), channels))
        self.before, self.zeros = before, zeros

    def floats(self, *inputs: Tensor) -> Tensor:
        x = F.pad(inputs[0], flat_padding(self.zeros)) if any(map(any, self.zeros)) else inputs[0]
        y = subsample(x, self.window.stride, self.before, self.out_shape[3])
        return y.contiguous(memory_format=torch.channels_last_3d)

    def integers(self, *streams: Stream) -> Tensor:
        return self.floats(streams[0][0])

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        return self.integers(*streams)

    def node(self, *formats: Format) -> Contraction:
        (fmt,) = formats
        channels, tap = self.in_shape[3], tuple(after for _, after in self.zeros)
        alone = self.out_shape[3] == channels  # each channel a group
        weight = np.zeros((self.out_shape[3], *self.window.kernel, 1 if alone else channels), np.int64)
        taken = np.arange(channels)
        weight[(taken + self.before, *tap, 0 if alone else taken)] = 1
        return Contraction(
            *(self.name, self.inputs, self.source, self.window, as_integers(weight)),
            Format(2, True, 0, narrow=True),
            Requantizer(fmt, 0),
            groups=channels if alone else 1,
        )


def window_of(stride: Triple, zeros: Pairs) -> Window:
    """The window whose one tap, as many from its end as there are zeros behind, puts zeros around a map."""
    d, h, w = ((before + after + 1, before + after) for before, after in zeros)
    return Window((d[0], h[0], w[0]), stride, ((d[1], d[1]), (h[1], h[1]), (w[1], w[1])))


@dataclass
class SubsampleDraft(Draft):
    stride: Triple
    channels: int
    before: int
    zeros: Pairs = NONE

    @property
    def out_shape(self) -> Shape:
        return (*window_of(self.stride, self.zeros).out_positions(self.in_shape), self.channels)

    def build(self, setting: Setting) -> SubsampleStage:
        return SubsampleStage(self.place, self.stride, self.channels, self.before, self.zeros)


def _subsample(lowering: Lowering, name: str, layer: Subsample, x: Value) -> Value:
    x = need_volume(lowering, name, x)
    d, h, w = (layer.stride if size > 1 else 1 for size in x.shape[:3])
    draft = SubsampleDraft(place(name, name, x), (d, h, w), layer.out_channels, layer.before)
    return lowering.append(draft, replace(x, norm_target=None))


SUBSAMPLE = Kind({Subsample: _subsample}, viewing=True)
