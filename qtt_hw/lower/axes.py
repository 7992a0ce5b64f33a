"""How PyTorch's axes lie in a stream: a view, a permutation or a flatten moves no value, and is a mark on its reader.

A stream is read in the order D, H, W, C. A tensor [N, ...] in PyTorch has axes behind the batch, each of which spans
parts of the stream's axes, the slowest first: [N, C, D, H, W] has one part each, a flattened one all four in one axis.
A part is `size` steps of `stride` along an axis of the stream, so that channels can be split and exchanged too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from qtt_hw.window import Shape

__all__ = ["Axes", "C", "D", "H", "Part", "W"]

#: Axes of a stream.
D, H, W, C = range(4)
#: Letters of these.
_LETTERS = "DHWC"


class Part(NamedTuple):
    """`size` steps of `stride` along an axis of a stream."""

    axis: int
    size: int
    stride: int = 1


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Parts without those of one step, and neighbours that are one part as such."""
    found: list[Part] = []
    for part in parts:
        if part.size == 1:
            continue
        if found and found[-1].axis == part.axis and found[-1].stride == part.stride * part.size:
            part = Part(part.axis, found.pop().size * part.size, part.stride)
        found.append(part)
    return tuple(found)


@dataclass(frozen=True)
class Axes:
    """The axes of a tensor behind its batch.

    Parameters
    ----------
    groups : tuple of tuple of Part
        What each axis spans, slowest first; nothing where its size is 1.
    """

    groups: tuple[tuple[Part, ...], ...]

    @classmethod
    def of(cls, shape: Shape, count: int = 4) -> Axes:
        """[N, C, D, H, W] of a stream (D, H, W, C); [N, C, H, W] for three axes; [N, C * D * H * W] for one."""
        parts = [Part(axis, shape[axis]) for axis in (C, D, H, W)]
        if count == 1:
            return cls((_joined(parts),))
        return cls(tuple(_joined([part]) for part in (parts if count == 4 else [parts[0], *parts[2:]])))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The tensor's shape without the batch."""
        return tuple(math.prod(part.size for part in group) for group in self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def is_volume(self, shape: Shape) -> bool:
        """Whether these are the axes C, D, H, W of a stream, or C, H, W where its depth is 1."""
        return len(self) in (3, 4) and (len(self) == 4 or shape[D] == 1) and self == Axes.of(shape, len(self))

    def channels(self, shape: Shape) -> tuple[int, ...] | None:
        """The stream's channels in the order of the tensor's, where but for that it is [N, C, D, H, W] or [N, C, H, W].

        None where it is read otherwise.
        """
        wanted = (D, H, W) if len(self) == 4 else (H, W)
        if len(self) not in (3, 4) or (len(self) == 3 and shape[D] > 1):
            return None
        places = enumerate(wanted, 1)
        if any(part.axis != C for part in self.groups[0]) or not all(self.is_whole(n, of, shape) for n, of in places):
            return None
        order = torch.zeros(1, dtype=torch.int64)
        for part in self.groups[0]:
            order = (order[:, None] + torch.arange(part.size) * part.stride).flatten()
        return tuple(order.tolist())

    def like(self, shape: Shape, new: Shape) -> Axes:
        """The axes of a stream of a new shape that is read as this one is; raises ValueError where that is not said."""
        if new == shape:
            return self
        vector = len(self) == 1 and shape[:3] == (1, 1, 1) and self == Axes.of(shape, 1)
        if vector or self.is_volume(shape):
            return Axes.of(new, len(self))
        raise ValueError(f"{self} of {shape} says nothing of {new}")

    def is_whole(self, axis: int, of: int, shape: Shape) -> bool:
        """Whether the tensor's axis of that number is just an axis of a stream, in its order."""
        return self.groups[axis] == _joined([Part(of, shape[of])])

    def reshaped(self, sizes: Sequence[int]) -> Axes | None:
        """The axes of a view of other sizes; None where they are no whole parts, or of another number of values."""
        left = [part for group in self.groups for part in group]
        groups = []
        for size in sizes:
            group: list[Part] = []
            while size > 1:
                if not left:
                    return None
                part = left.pop(0)
                taken = math.gcd(part.size, size) if size < part.size else part.size
                if size % taken or part.size % taken or taken == 1:
                    return None
                group.append(Part(part.axis, taken, part.stride * (part.size // taken)))
                if taken < part.size:
                    if taken != size:
                        return None
                    left.insert(0, Part(part.axis, part.size // taken, part.stride))
                size //= taken
            groups.append(_joined(group))
        return None if left else Axes(tuple(groups))

    def permuted(self, order: Sequence[int]) -> Axes:
        """The axes in another order, that of their numbers."""
        return Axes(tuple(self.groups[number] for number in order))

    def without(self, numbers: Sequence[int], keep: bool) -> Axes:
        """The axes of which some have become of size 1, kept as such or taken away."""
        groups = [() if number in numbers else group for number, group in enumerate(self.groups)]
        return Axes(tuple(group for number, group in enumerate(groups) if keep or number not in numbers))

    def with_channels(self, shape: Shape, channels: int) -> Axes:
        """The axes where channels, which are the last one as a whole, have become as many."""
        assert self.is_whole(-1, C, shape)
        return Axes((*self.groups[:-1], _joined([Part(C, channels)])))

    def order(self, shape: Shape) -> Tensor:
        """By the place in the flattened tensor, that in the stream: int64 [D * H * W * C]."""
        places = torch.zeros(1, dtype=torch.int64)
        steps = (shape[H] * shape[W] * shape[C], shape[W] * shape[C], shape[C], 1)
        for part in (part for group in self.groups for part in group):
            places = (places[:, None] + torch.arange(part.size) * part.stride * steps[part.axis]).flatten()
        return places

    def __str__(self) -> str:
        names = ("".join(_LETTERS[part.axis] for part in group) or "1" for group in self.groups)
        return f"[N, {', '.join(names)}]"
