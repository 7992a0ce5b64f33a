"""Views, permutations and flattens: marks on what is read, until something needs the values in PyTorch's order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from qtt_hw.lower.axes import Axes
from qtt_hw.lower.kinds.permutation import PermutationDraft
from qtt_hw.lower.kinds.reshape import ReshapeDraft
from qtt_hw.lower.lowering import Call, Kind, Lowering, place
from qtt_hw.lower.value import Unsupported, Value

__all__ = ["REARRANGE", "axes_of", "flatten_stream", "need_flat", "need_volume", "read_alike", "transposed", "viewed"]


def flatten_stream(lowering: Lowering, name: str, x: Value) -> Value:
    """One position whose channels stand in the order of the tensor's flattened axes."""
    order = x.axes.order(x.shape)
    size = len(order)
    flat = Axes.of((1, 1, 1, size), 1)
    if x.shape[:3] != (1, 1, 1):
        x = replace(x, norm_target=None)
        x = lowering.append(ReshapeDraft(place(f"{name}.flatten", name, x), (1, 1, 1, size)), x, flat)
    if bool((order == torch.arange(size)).all()):
        return x
    x = replace(x, norm_target=None)
    return lowering.append(PermutationDraft(place(f"{name}.order", name, x), tuple(order.tolist())), x, flat)


def need_flat(what: str, x: Value) -> None:
    """Raise Unsupported for a layer that would act on the last axis of a volume."""
    if not x.flat and not x.blind:
        raise Unsupported(
            f"would act on the last axis of a volume, which is not supported; nn.Flatten() before {what} would be "
            "another network"
        )


def need_volume(lowering: Lowering, name: str, x: Value) -> Value:
    """A value that is read as [N, C, D, H, W], or [N, C, H, W], its channels in order; else raises Unsupported."""
    if x.volume or x.blind:
        return x
    order = x.axes.channels(x.shape)
    if order is None:
        raise Unsupported(
            f"reads {x.axes} of a volume, which is not supported; [N, C, D, H, W] is, and [N, C, H, W] in 2D networks"
        )
    x = lowering.settled(x)
    draft = PermutationDraft(place(f"{name}.order", name, x), order)
    return lowering.append(draft, replace(x, norm_target=None), Axes.of(x.shape, len(x.axes)))


def read_alike(lowering: Lowering, name: str, a: Value, b: Value) -> tuple[Value, Value]:
    """Two values that a call joins: their channels in order, where they are in different ones, or flattened ones."""
    if (a.axes, a.shape) == (b.axes, b.shape):
        return a, b
    sides = {f"{name}.left": a, f"{name}.right": b}
    if a.flat and b.flat:
        a, b = (flatten_stream(lowering, side, x) for side, x in sides.items())
    elif all(x.axes.channels(x.shape) is not None for x in (a, b)):
        a, b = (need_volume(lowering, side, x) for side, x in sides.items())
    return a, b


def axes_of(dims: Any, call: Call) -> list[int]:
    """The numbers of axes that a call names, among those behind the batch; raises Unsupported for the batch's own."""
    count = len(call.read)
    given = range(count) if dims is None else [dims] if isinstance(dims, int) else list(dims)
    numbers = [dim % count for dim in given]
    if 0 in numbers:
        raise Unsupported("acts on the samples of a batch together, which is not supported")
    return [number - 1 for number in numbers]


def viewed(x: Value, sizes: Sequence[int]) -> Value:
    """A value whose axes have other sizes behind the batch; raises Unsupported where they are no whole parts."""
    axes = x.axes.reshaped(sizes)
    if axes is None:
        if x.blind:
            return x
        raise Unsupported(
            f"makes {list(sizes)} of {x.axes} with sizes {list(x.axes.sizes)}, which is not supported; "
            "axes can be joined, and split where all others stay whole"
        )
    one = x.shape[:3] == (1, 1, 1)
    return replace(x, axes=axes, norm_target=x.norm_target if one or axes == x.axes else None)


def _view(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    if call.made[:1] != call.read[:1]:
        raise Unsupported("joins the samples of a batch, which is not supported; the first axis is the batch's")
    return viewed(x, call.made[1:])


def _squeeze(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    dims = call.kwargs.get("dim", call.args[0] if call.args else range(len(call.read)))
    if call.read[0] == 1 and any(dim % len(call.read) == 0 for dim in ([dims] if isinstance(dims, int) else dims)):
        raise Unsupported(
            "takes away the batch's axis too where that is one sample, which is not supported; .flatten(1), or the "
            "numbers of the other axes, as .squeeze((2, 3)), compute the same on any batch"
        )
    return _view(lowering, name, call, x)


def _flatten(lowering: Lowering, name: str, layer: nn.Flatten, x: Value) -> Value:
    count = len(x.axes) + 1
    start, end = layer.start_dim % count, layer.end_dim % count
    if start == 0:
        raise Unsupported("joins the samples of a batch, which is not supported; nn.Flatten() is")
    sizes = x.axes.sizes
    return viewed(x, (*sizes[: start - 1], math.prod(sizes[start - 1 : end]), *sizes[end:]))


def _unflatten(lowering: Lowering, name: str, layer: nn.Unflatten, x: Value) -> Value:
    if not isinstance(layer.dim, int):
        raise Unsupported("names its axis, which is not supported; its number is")
    sizes, dim = x.axes.sizes, layer.dim % (len(x.axes) + 1)
    if dim == 0:
        raise Unsupported("splits the samples of a batch, which is not supported")
    made = [int(size) for size in layer.unflattened_size]
    return viewed(x, (*sizes[: dim - 1], *made, *sizes[dim:]))


def _permuted(x: Value, order: Sequence[int]) -> Value:
    """Behind a permutation of all axes, by their numbers with the batch."""
    if order[0] != 0:
        raise Unsupported("moves the batch's axis, which is not supported")
    return replace(x, axes=x.axes.permuted([number - 1 for number in order[1:]]))


def _permute(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    dims = call.kwargs.get("dims", call.args)
    dims = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return _permuted(x, [dim % len(call.read) for dim in dims])


def transposed(x: Value, count: int, first: int, second: int) -> Value:
    """Behind an exchange of two of `count` axes, the batch's included, by their numbers."""
    order = list(range(count))
    order[first], order[second] = order[second], order[first]
    return _permuted(x, order)


def _transpose(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    count = len(call.read)
    first, second = (dim % count for dim in (*call.args, *call.kwargs.values()))
    return transposed(x, count, first, second)


def _select(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    given = dict(zip(("dim", "index"), call.args, strict=False)) | dict(call.kwargs)
    if given["dim"] % len(call.read) == 0 or call.read[given["dim"]] > 1:
        raise Unsupported("takes a single place of several, which is not supported; slices of channels are")
    return viewed(x, call.made[1:])


def _movedim(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    given = [*call.args, *call.kwargs.values()]
    order = torch.empty(tuple(range(len(call.read))), device="meta").movedim(*given).shape
    return _permuted(x, list(order))


def _shuffle(lowering: Lowering, name: str, layer: nn.ChannelShuffle, x: Value) -> Value:
    """Groups of channels become the inner axis: the first of each group, then the second, as ShuffleNet has it."""
    if x.blind:
        return x
    channels, *rest = x.axes.sizes
    split = viewed(x, (layer.groups, channels // layer.groups, *rest))
    return viewed(transposed(split, len(x.axes) + 2, 1, 2), x.axes.sizes)


_VIEWS = (
    *("view", "reshape", "flatten", "unflatten", "unsqueeze"),
    *(torch.reshape, torch.flatten, torch.unflatten, torch.unsqueeze),
)
_TRANSPOSES = (
    *("transpose", "swapaxes", "swapdims"),
    *(torch.transpose, torch.swapaxes, torch.swapdims),
)

REARRANGE = Kind(
    {nn.Flatten: _flatten, nn.Unflatten: _unflatten, nn.ChannelShuffle: _shuffle},
    {F.channel_shuffle: lambda input, groups: nn.ChannelShuffle(groups)},
    calls={
        **dict.fromkeys(_VIEWS, _view),
        **dict.fromkeys(("squeeze", torch.squeeze), _squeeze),
        **dict.fromkeys(("permute", torch.permute), _permute),
        **dict.fromkeys(_TRANSPOSES, _transpose),
        **dict.fromkeys(("view_as", "reshape_as"), _view),
        **dict.fromkeys(("select", torch.select), _select),
        **dict.fromkeys(("movedim", "moveaxis", torch.movedim, torch.moveaxis), _movedim),
    },
    viewing=True,
)
