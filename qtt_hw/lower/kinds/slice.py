"""Slices of channels, and of positions with a step: chunk, split, narrow and indices."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Slice
from qtt_hw.lower.axes import Axes, C, D, H, W
from qtt_hw.lower.draft import Draft, Setting
from qtt_hw.lower.kinds.rearrange import need_volume, viewed
from qtt_hw.lower.kinds.several import Several
from qtt_hw.lower.kinds.subsample import SubsampleDraft
from qtt_hw.lower.lowering import Call, Kind, Lowering, place
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.window import Shape

__all__ = ["SLICE", "SliceDraft", "SliceStage"]


class SliceStage(Stage):
    """Some neighbouring channels of every position."""

    def __init__(self, place: Place, first: int, count: int) -> None:
        super().__init__(place, (*place.shape[:3], count))
        self.first, self.count = first, count

    def floats(self, *inputs: Tensor) -> Tensor:
        y = inputs[0][:, self.first : self.first + self.count]
        return y.contiguous(memory_format=torch.channels_last_3d)

    def integers(self, *streams: Stream) -> Tensor:
        return self.floats(streams[0][0])

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        return self.integers(*streams)

    def node(self, *formats: Format) -> Slice:
        return Slice(self.name, self.inputs, self.source, self.first, self.count)


@dataclass
class SliceDraft(Draft):
    first: int
    count: int

    @property
    def out_shape(self) -> Shape:
        return (*self.in_shape[:3], self.count)

    def build(self, setting: Setting) -> SliceStage:
        return SliceStage(self.place, self.first, self.count)


def _channels(lowering: Lowering, name: str, x: Value, first: int, count: int) -> Value:
    """Some neighbouring channels of a value that is read as [N, C, ...]."""
    if (first, count) == (0, x.shape[3]):
        return x
    shape = (*x.shape[:3], count)
    draft = SliceDraft(place(name, name, x), first, count)
    return lowering.append(draft, replace(x, norm_target=None), Axes.of(shape, len(x.axes)))


@dataclass(frozen=True, eq=False)
class Parts(Several):
    """The parts of a chunk or a split.

    Parameters
    ----------
    base : Value
    name : str
    sizes : tuple of int
        Channels of each.
    """

    base: Value
    name: str
    sizes: tuple[int, ...]

    def settled(self, lowering: Lowering) -> Value:
        """None: the parts are several results."""
        raise Unsupported("reads the parts of a split together, which is not supported; one by its number is")

    def one(self, lowering: Lowering, name: str, number: int, forked: bool) -> Value:
        """A part's channels."""
        base = self.base.fork() if forked else self.base
        return _channels(lowering, name, base, sum(self.sizes[:number]), self.sizes[number])

    def __len__(self) -> int:
        return len(self.sizes)


def _is_channels(x: Value, dim: Any, count: int) -> bool:
    """Whether an axis, numbered with the batch, is the channels of what is read as [N, C, ...]."""
    number = dim % count if isinstance(dim, int) else 0
    return number == 1 and (x.volume or x.flat) and x.axes.is_whole(0, C, x.shape)


def _split(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    dim = call.args[1] if len(call.args) > 1 else call.kwargs.get("dim", 0)
    x = x if x.flat else need_volume(lowering, name, x)
    if not _is_channels(x, dim, len(call.read)):
        raise Unsupported(f"splits axis {dim} of {x.axes}, which is not supported; channels are split")
    parts = call.function(torch.empty(call.read, device="meta"))
    sizes = tuple(int(part.shape[1]) for part in parts)
    return replace(x, norm_target=None, pending=Parts(x, name, sizes))


def _narrow(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    given = dict(zip(("dim", "start", "length"), call.args, strict=False)) | dict(call.kwargs)
    index: list[Any] = [slice(None)] * len(call.read)
    start = int(given["start"]) % call.read[given["dim"]]
    index[given["dim"]] = slice(start, start + int(given["length"]))
    return _sliced(lowering, name, tuple(index), call, x)


def _item(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    (index,) = call.args
    if isinstance(x.pending, Several):
        if not isinstance(index, int):
            raise Unsupported("takes several results of a call, which is not supported; one by its number is")
        return x.pending.one(lowering, name, index % len(x.pending), x.forked)
    return _sliced(lowering, name, index if isinstance(index, tuple) else (index,), call, x)


def _sliced(lowering: Lowering, name: str, index: Sequence[Any], call: Call, x: Value) -> Value:
    """Channels in a row, and every so many-th position from the first on."""
    count = len(call.read)
    if Ellipsis in index:
        at = list(index).index(Ellipsis)
        whole = count - len(index) + 1 + list(index).count(None)
        index = (*index[:at], *[slice(None)] * whole, *index[at + 1 :])
    if index and not isinstance(index[0], slice):
        raise Unsupported("takes some samples of a batch, or adds an axis before its, which is not supported")
    index = (*index, *[slice(None)] * (count - len(index) + list(index).count(None)))
    taken = [part for part in index if part is not None]
    alone = [isinstance(part, int) and size == 1 for part, size in zip(taken, call.read, strict=True)]
    if any(alone[1:]) or None in index[1:]:  # axes of one place are left out, or added
        rest = [slice(None) if single else part for part, single in zip(taken, alone, strict=True)]
        return viewed(_sliced(lowering, name, rest, call, x), call.made[1:])
    if not all(isinstance(part, slice) for part in index):
        raise Unsupported("takes single places or lists of them, which is not supported; slices are")
    ranges = [range(size)[part] for part, size in zip(index, call.read, strict=True)]
    every = [range(size) for size in call.read]
    if ranges == every:
        return x
    if ranges[0] != every[0]:
        raise Unsupported("takes some samples of a batch, which is not supported")
    x = x if x.flat else need_volume(lowering, name, x)
    if ranges[1] != every[1]:
        if not _is_channels(x, 1, count) or ranges[1].step != 1 or not ranges[1]:
            raise Unsupported(f"takes some of {x.axes}, which is not supported; channels in a row are")
        x = _channels(lowering, name, x, ranges[1].start, len(ranges[1]))
    steps = {D: 1, H: 1, W: 1}
    for axis, taken, size in zip((D, H, W)[5 - count :], ranges[2:], call.read[2:], strict=True):
        if taken.step < 1 or taken != range(0, size, taken.step):
            raise Unsupported("crops positions, which is not supported; every so many-th from the first on is")
        steps[axis] = taken.step if size > 1 else 1
    stride = steps[D], steps[H], steps[W]
    if stride == (1, 1, 1):
        return x
    draft = SubsampleDraft(place(name, name, x), stride, x.shape[3], 0)
    return lowering.append(draft, replace(x, norm_target=None))


SLICE = Kind(
    calls={
        **dict.fromkeys((torch.chunk, "chunk", torch.split, "split"), _split),
        **dict.fromkeys((torch.narrow, "narrow"), _narrow),
        operator.getitem: _item,
    },
    takes=(Several,),
    viewing=True,
)
