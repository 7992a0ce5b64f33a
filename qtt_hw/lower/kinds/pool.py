"""Pools: the maximum, or the mean rounded half up, over the valid taps of a window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge, Pool
from qtt_hw.lower.draft import Draft, Setting
from qtt_hw.lower.integer import holding_dtype
from qtt_hw.lower.kinds.rearrange import need_volume
from qtt_hw.lower.lowering import Kind, Lowering, place
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.pool import PairAvgPool3d, PairMaxPool3d, PairPool3d, pool_max, pool_sum
from qtt_hw.nn.window import same_padding, triple
from qtt_hw.quant.fake import StraightThrough
from qtt_hw.window import Shape, Window

__all__ = ["POOL", "PoolDraft", "PoolStage"]


class PoolStage(Stage):
    """Maximum, or mean rounded half up, over the valid taps of a window."""

    count: Tensor

    def __init__(self, place: Place, kind: Literal["max", "average"], window: Window) -> None:
        super().__init__(place, (*window.out_positions(place.shape), place.shape[3]))
        self.kind, self.window = kind, window
        d, h, w = (torch.tensor([a.count(o) for o in range(a.out_size)]) for a in window.axes(place.shape))
        self.register_buffer("count", d[:, None, None] * h[:, None] * w, persistent=False)

    def integers(self, *streams: Stream) -> Tensor:
        ((x, fmt),) = streams
        if self.kind == "max":
            return pool_max(x, self.window)
        total = pool_sum(x.to(holding_dtype(self.window.taps << fmt.bits, x.device)), self.window)
        mean = torch.div(2 * total.to(torch.int64) + self.count, 2 * self.count, rounding_mode="floor")
        return mean.to(torch.float32)

    def floats(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        return pool_max(x, self.window) if self.kind == "max" else pool_sum(x, self.window) / self.count

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        ((x, fmt),) = streams
        mean = self.floats(x)
        if self.kind == "max":
            return mean
        with torch.no_grad():
            result = self.integers((x * 2.0**fmt.frac, fmt)).mul_(2.0**-fmt.frac)
        return StraightThrough.apply(mean, result)

    def node(self, *formats: Format) -> Pool:
        return Pool(self.name, self.inputs, self.source, self.kind, self.window)

    def check(self, *formats: Format) -> None:
        if self.kind == "average":  # which may have no exact reciprocal in this format
            self.node(*formats).reciprocals(Edge(self.in_shape, formats[0]))


@dataclass
class PoolDraft(Draft):
    kind: Literal["max", "average"]
    window: Window

    @property
    def out_shape(self) -> Shape:
        return (*self.window.out_positions(self.in_shape), self.in_shape[3])

    def build(self, setting: Setting) -> PoolStage:
        return PoolStage(self.place, self.kind, self.window)


def _pool(lowering: Lowering, name: str, kind: Literal["max", "average"], window: Window, x: Value) -> Value:
    need_volume(x)
    y = lowering.append(PoolDraft(place(name, name, x), kind, window), replace(x, norm_target=None))
    return y if kind == "max" else replace(y, relu_target=None)


def _max(lowering: Lowering, name: str, layer: nn.MaxPool3d, x: Value) -> Value:
    _need_floor(layer)
    if layer.return_indices:
        raise Unsupported("has return_indices=True, which is not supported; without it the maxima are the same")
    if triple(layer.dilation, "dilation") != (1, 1, 1):
        raise Unsupported(f"has dilation={layer.dilation}, which is not supported; dilation=1 would be another network")
    return _pool(lowering, name, "max", _window(layer), x)


def _average(lowering: Lowering, name: str, layer: nn.AvgPool3d, x: Value) -> Value:
    _need_floor(layer)
    if layer.divisor_override is not None:
        raise Unsupported(
            f"has divisor_override={layer.divisor_override}, which is not supported; without it, with the weights "
            "of the layer behind it scaled, it computes the same"
        )
    window = _window(layer)
    if layer.count_include_pad and any(before for before, _ in window.padding):
        raise Unsupported(
            "counts padding in the mean, which is not supported; count_include_pad=False would be another network"
        )
    return _pool(lowering, name, "average", window, x)


def _pair(lowering: Lowering, name: str, layer: PairPool3d, x: Value) -> Value:
    return _pool(lowering, name, layer.kind, layer.window(x.shape[:3]), x)


def _global(lowering: Lowering, name: str, layer: nn.AdaptiveAvgPool3d, x: Value) -> Value:
    size = layer.output_size
    if not all(n == 1 for n in (size if isinstance(size, tuple) else (size,))):
        raise Unsupported(
            f"has output size {size}, which is not supported; 1 is, and an average pool with a kernel computes the "
            "same where the sizes divide the map"
        )
    d, h, w, _ = x.shape
    return _pool(lowering, name, "average", Window((d, h, w), (d, h, w)), x)


def _need_floor(layer: nn.MaxPool3d | nn.AvgPool3d) -> None:
    if layer.ceil_mode:
        raise Unsupported(
            "has ceil_mode=True, which is not supported; ceil_mode=False computes the same only where the windows fit"
        )


def _window(layer: nn.MaxPool3d | nn.AvgPool3d) -> Window:
    kernel = triple(layer.kernel_size, "kernel_size")
    stride = triple(layer.stride, "stride")
    return Window(kernel, stride, same_padding(kernel, stride, layer.padding))


POOL = Kind(
    {
        nn.MaxPool3d: _max,
        nn.AvgPool3d: _average,
        PairMaxPool3d: _pair,
        PairAvgPool3d: _pair,
        nn.AdaptiveAvgPool3d: _global,
    }
)
