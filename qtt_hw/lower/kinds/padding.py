"""Zeros around a map: a part of the window that reads it, where that takes them in; else a stage of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import nn

from qtt_hw.lower.axes import Axes, C, D, H, W
from qtt_hw.lower.kinds.rearrange import need_volume
from qtt_hw.lower.kinds.subsample import SubsampleDraft
from qtt_hw.lower.lowering import Call, Kind, Lowering, place
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.window import Pairs
from qtt_hw.window import Window

__all__ = ["PADDING", "Padding", "taken_in"]


@dataclass(frozen=True, eq=False)
class Padding:
    """Zeros around a map that no window has taken in yet.

    Parameters
    ----------
    name : str
        The call's.
    base : Value
        The map, with nothing pending.
    pairs : three pairs of int
        Before and after, on D, H, W.
    """

    name: str
    base: Value
    pairs: Pairs

    def settled(self, lowering: Lowering) -> Value:
        """The map with its zeros, as a stage puts it out."""
        x = self.base
        draft = SubsampleDraft(place(self.name, self.name, x), (1, 1, 1), x.shape[3], 0, self.pairs)
        return lowering.append(draft, replace(x, norm_target=None))


def taken_in(lowering: Lowering, x: Value, window: Window) -> tuple[Value, Window]:
    """The map without its zeros and the window with them; with a stage for them where they are too many."""
    if not isinstance(x.pending, Padding):
        return x, window
    sides = zip(x.pending.pairs, window.padding, strict=True)
    d, h, w = ((before + own[0], after + own[1]) for (before, after), own in sides)
    spans = ((k - 1) * apart + 1 for k, apart in zip(window.kernel, window.dilation, strict=True))
    if any(max(pair) >= span for pair, span in zip((d, h, w), spans, strict=True)):
        return lowering.settled(x), window
    base = x.pending.base
    return (base.fork() if x.forked else base), replace(window, padding=(d, h, w))


def _padded(lowering: Lowering, name: str, given: Sequence[int], x: Value) -> Value:
    """Zeros by PyTorch's list: before and after, last axis first."""
    if min(given, default=0) < 0:
        raise Unsupported(f"crops by {list(given)}, which is not supported; a slice from 0 with a step is")
    x = need_volume(lowering, name, x)
    sides = [(0, 0)] * 4
    order = (W, H, D, C) if len(x.axes) == 4 else (W, H, C)
    pairs = zip(given[::2], given[1::2], strict=True)
    for axis, (first, last) in zip(order, pairs, strict=False):
        sides[axis] = (int(first), int(last))
    before, after = sides[C]
    if before or after:
        x = lowering.settled(x)
        channels = before + x.shape[3] + after
        draft = SubsampleDraft(place(name, name, x), (1, 1, 1), channels, before)
        x = lowering.append(draft, replace(x, norm_target=None))
    zeros: Pairs = sides[D], sides[H], sides[W]
    if not any(map(any, zeros)):
        return x
    base = x
    if isinstance(x.pending, Padding):
        base = x.pending.base
        d, h, w = ((a + c, b + d) for (a, b), (c, d) in zip(x.pending.pairs, zeros, strict=True))
        zeros = d, h, w
    depth, height, width = (size + sum(pair) for size, pair in zip(base.shape[:3], zeros, strict=True))
    shape = (depth, height, width, base.shape[3])
    axes = Axes.of(shape, len(x.axes))
    return replace(x, shape=shape, axes=axes, norm_target=None, pending=Padding(name, base, zeros))


def _layer(lowering: Lowering, name: str, layer: Any, x: Value) -> Value:
    value = getattr(layer, "value", 0)
    if value != 0:
        raise Unsupported(f"pads with {value}, which is not supported; with 0 it would be another network")
    if x.blind:
        return x
    return _padded(lowering, name, layer.padding, x)


def _call(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    given = dict(zip(("pad", "mode", "value"), call.args, strict=False)) | dict(call.kwargs)
    mode, value = given.get("mode", "constant"), given.get("value") or 0
    if mode != "constant" or value != 0:
        what = f"with {value}" if mode == "constant" else f"by mode={mode!r}"
        raise Unsupported(f"pads {what}, which is not supported; with zeros it would be another network")
    return _padded(lowering, name, list(given["pad"]), x)


PADDING = Kind(
    dict.fromkeys((nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad2d, nn.ConstantPad3d), _layer),
    calls={F.pad: _call},
    takes=(Padding,),
)
