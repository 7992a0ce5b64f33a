"""Pools: the maximum, or the mean rounded half up, over the valid taps of a window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge, Pool
from qtt_hw.lower.axes import Axes
from qtt_hw.lower.draft import Draft, Setting
from qtt_hw.lower.integer import holding_dtype
from qtt_hw.lower.kinds.padding import Padding, taken_in
from qtt_hw.lower.kinds.rearrange import need_volume
from qtt_hw.lower.lowering import Kind, Lowering, place
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.pool import PairAvgPool3d, PairMaxPool3d, PairPool3d, pool_max, pool_sum
from qtt_hw.nn.window import Triple, same_padding, triple
from qtt_hw.quant.fake import StraightThrough
from qtt_hw.window import Shape, Window

__all__ = ["POOL", "PoolDraft", "PoolStage", "pooled"]


class PoolStage(Stage):
    """Maximum, or mean rounded half up, over the valid taps of a window, or over all of them."""

    count: Tensor

    def __init__(
        self, place: Place, kind: Literal["max", "average"], window: Window, counts_padding: bool = False
    ) -> None:
        super().__init__(place, (*window.out_positions(place.shape), place.shape[3]))
        self.kind, self.window, self.counts_padding = kind, window, counts_padding
        d, h, w = (torch.tensor([a.count(o) for o in range(a.out_size)]) for a in window.axes(place.shape))
        count = d[:, None, None] * h[:, None] * w
        self.register_buffer("count", count.fill_(window.taps) if counts_padding else count, persistent=False)

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
        return Pool(self.name, self.inputs, self.source, self.kind, self.window, self.counts_padding)

    def check(self, *formats: Format) -> None:
        if self.kind == "average":  # which may have no exact reciprocal in this format
            self.node(*formats).reciprocals(Edge(self.in_shape, formats[0]))


@dataclass
class PoolDraft(Draft):
    kind: Literal["max", "average"]
    window: Window
    counts_padding: bool = False

    @property
    def out_shape(self) -> Shape:
        return (*self.window.out_positions(self.in_shape), self.in_shape[3])

    def build(self, setting: Setting) -> PoolStage:
        return PoolStage(self.place, self.kind, self.window, self.counts_padding)


def pooled(
    lowering: Lowering,
    name: str,
    kind: Literal["max", "average"],
    window: Window,
    x: Value,
    axes: Axes | None = None,
    counts_padding: bool = False,
) -> Value:
    """A pool; `axes` are those of its result, where they are not read as a map's."""
    if axes is None:
        x = need_volume(lowering, name, x)
    if kind == "max" and isinstance(x.pending, Padding) and x.pending.base.nonnegative:  # zeros are no greater
        x, window = taken_in(lowering, x, window)
    x = lowering.settled(x)
    draft = PoolDraft(place(name, name, x), kind, window, counts_padding)
    y = lowering.append(draft, replace(x, norm_target=None), axes)
    return y if kind == "max" else replace(y, relu_target=None)


def _behind(size: int, span: int, stride: int, before: int) -> int:
    """Padding behind an axis that has a last window for what is left over, if that begins before the padding does."""
    windows = -(-(size + 2 * before - span) // stride) + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return max((windows - 1) * stride + span - size - before, 0)


def _max(lowering: Lowering, name: str, layer: nn.MaxPool3d, x: Value) -> Value:
    if layer.return_indices:
        raise Unsupported("has return_indices=True, which is not supported; without it the maxima are the same")
    return pooled(lowering, name, "max", _window(layer, x, triple(layer.dilation, "dilation")), x)


def _average(lowering: Lowering, name: str, layer: nn.AvgPool3d, x: Value) -> Value:
    if layer.divisor_override is not None:
        raise Unsupported(
            f"has divisor_override={layer.divisor_override}, which is not supported; without it, with the weights "
            "of the layer behind it scaled, it computes the same"
        )
    window = _window(layer, x)
    counts = layer.count_include_pad and any(before for before, _ in window.padding)
    if counts and any(after > before for before, after in window.padding):
        raise Unsupported(
            "counts padding in the mean but not what ceil_mode adds to it, which is not supported; without one of the "
            "two it would be another network"
        )
    if isinstance(x.pending, Padding) and (counts or not any(map(any, window.padding))):
        x = need_volume(lowering, name, x)
        x, window = taken_in(lowering, x, window)
        counts = any(map(any, window.padding))
    return pooled(lowering, name, "average", window, x, counts_padding=counts)


def _pair(lowering: Lowering, name: str, layer: PairPool3d, x: Value) -> Value:
    return pooled(lowering, name, layer.kind, layer.window(x.shape[:3]), x)


def _adaptive(lowering: Lowering, name: str, kind: Literal["max", "average"], layer: nn.Module, x: Value) -> Value:
    """A pool of so many windows an axis, which are alike where their number divides the map."""
    if getattr(layer, "return_indices", False):
        raise Unsupported("has return_indices=True, which is not supported; without it the maxima are the same")
    x = need_volume(lowering, name, x)
    given = layer.output_size
    wanted = given if isinstance(given, tuple | list) else (given,) * 3
    sizes = [size if made is None else int(made) for made, size in zip(wanted, x.shape[:3], strict=True)]
    if any(made < 1 or size % made for made, size in zip(sizes, x.shape[:3], strict=True)):
        raise Unsupported(
            f"has output size {given}, which is not supported, as it does not divide the map's {list(x.shape[:3])}; "
            "windows of several sizes would be another kind of pool"
        )
    kernel = tuple(size // made for made, size in zip(sizes, x.shape[:3], strict=True))
    if kernel == (1, 1, 1):
        return x
    return pooled(lowering, name, kind, Window(kernel, kernel), x)  # type: ignore[arg-type]


def _adaptive_average(lowering: Lowering, name: str, layer: nn.AdaptiveAvgPool3d, x: Value) -> Value:
    return _adaptive(lowering, name, "average", layer, x)


def _adaptive_max(lowering: Lowering, name: str, layer: nn.AdaptiveMaxPool3d, x: Value) -> Value:
    return _adaptive(lowering, name, "max", layer, x)


def _window(layer: nn.MaxPool3d | nn.AvgPool3d, x: Value, dilation: Triple = (1, 1, 1)) -> Window:
    kernel = triple(layer.kernel_size, "kernel_size")
    stride = triple(layer.stride, "stride")
    padding = same_padding(kernel, stride, layer.padding)
    if layer.ceil_mode:
        spans = ((taps - 1) * apart + 1 for taps, apart in zip(kernel, dilation, strict=True))
        d, h, w = (
            (before, _behind(size, span, step, before))
            for size, span, step, (before, _) in zip(x.shape[:3], spans, stride, padding, strict=True)
        )
        padding = d, h, w
    return Window(kernel, stride, padding, dilation)


def _as_max(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layer: type[nn.Module],
) -> nn.Module:
    return layer(kernel_size, stride or None, padding, dilation, return_indices, ceil_mode)


def _as_average(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layer: type[nn.Module],
) -> nn.Module:
    return layer(kernel_size, stride or None, padding, ceil_mode, count_include_pad, divisor_override)


def _as_adaptive(input: Any, output_size: Any, return_indices: bool = False, *, layer: type[nn.Module]) -> nn.Module:
    return layer(output_size, True) if return_indices else layer(output_size)


POOL = Kind(
    {
        nn.MaxPool3d: _max,
        nn.AvgPool3d: _average,
        PairMaxPool3d: _pair,
        PairAvgPool3d: _pair,
        nn.AdaptiveAvgPool3d: _adaptive_average,
        nn.AdaptiveMaxPool3d: _adaptive_max,
    },
    {
        F.max_pool2d: partial(_as_max, layer=nn.MaxPool2d),
        F.max_pool3d: partial(_as_max, layer=nn.MaxPool3d),
        F.avg_pool2d: partial(_as_average, layer=nn.AvgPool2d),
        F.avg_pool3d: partial(_as_average, layer=nn.AvgPool3d),
        F.adaptive_avg_pool2d: partial(_as_adaptive, layer=nn.AdaptiveAvgPool2d),
        F.adaptive_avg_pool3d: partial(_as_adaptive, layer=nn.AdaptiveAvgPool3d),
        F.adaptive_max_pool2d: partial(_as_adaptive, layer=nn.AdaptiveMaxPool2d),
        F.adaptive_max_pool3d: partial(_as_adaptive, layer=nn.AdaptiveMaxPool3d),
    },
    takes=(Padding,),
)
