"""Windows over a stream: which inputs each output position reads when padding is skipped, not multiplied."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

__all__ = ["MOST_CHANNELS", "MOST_VALUES", "AxisWindow", "Shape", "Window", "check_size"]

#: Sizes of the axes [D, H, W, C].
Shape = tuple[int, int, int, int]

#: Most values of a stream, the padding of a window on it included, and most channels. A video network's largest stream
#: (C3D: 16 x 112 x 112 x 64) has a fifth of these values, a flattened map of QTTNet nearly as many channels.
MOST_VALUES: Final = 1 << 26
MOST_CHANNELS: Final = 1 << 22


def check_size(shape: Shape) -> None:
    """Raise ValueError where a stream of that shape has too many values or channels."""
    if math.prod(shape) > MOST_VALUES:
        raise ValueError(f"{list(shape)} (D, H, W, C) are {math.prod(shape)} values, {MOST_VALUES} are the most")
    if shape[3] > MOST_CHANNELS:
        raise ValueError(f"{shape[3]} channels, {MOST_CHANNELS} are the most")


@dataclass(frozen=True)
class AxisWindow:
    """The taps of output o on an axis: inputs o * stride - before + k * dilation, k in [0, kernel), inside [0, size).

    Parameters
    ----------
    size : int
        Input positions.
    kernel, stride : int
        At least 1 each.
    before, after : int
        Padding on each side; less than the kernel spans, and no window lies wholly in padding.
    dilation : int
        Inputs from one tap to the next.
    """

    size: int
    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    def __post_init__(self) -> None:
        for name in ("size", "kernel", "stride", "dilation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        kernel = f"kernel {self.kernel}" + (f" of dilation {self.dilation}" if self.dilation > 1 else "")
        for name in ("before", "after"):
            if not 0 <= getattr(self, name) < self.span:
                raise ValueError(f"padding {name} must be 0 to {self.span - 1} for {kernel}, got {getattr(self, name)}")
        padded = self.size + self.before + self.after
        if padded < self.span:
            raise ValueError(f"{kernel} is larger than the padded axis of {padded}")
        if self.dilation > 1 and any(self.count(o) < 1 for o in range(self.out_size)):
            raise ValueError(f"a window of {kernel} lies wholly in padding")

    @property
    def span(self) -> int:
        """Inputs from the first tap to the last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def out_size(self) -> int:
        return (self.size + self.before + self.after - self.span) // self.stride + 1

    def first_tap(self, o: int) -> int:
        """The first kernel index of output o that falls on an input."""
        return max(-((o * self.stride - self.before) // self.dilation), 0)

    def first(self, o: int) -> int:
        """The first input position of output o."""
        return o * self.stride - self.before + self.first_tap(o) * self.dilation

    def last(self, o: int) -> int:
        """The last input position of output o."""
        start = o * self.stride - self.before
        return start + min(self.kernel - 1, (self.size - 1 - start) // self.dilation) * self.dilation

    def count(self, o: int) -> int:
        """The number of inputs that output o reads."""
        return (self.last(o) - self.first(o)) // self.dilation + 1

    def oldest(self, o: int) -> int:
        """The first input position that output o or a later one reads: of dilated taps a later one may begin first.

        Of output 0 it is input 0, whether or not a tap falls on it.
        """
        return self.first(o) if self.dilation == 1 else _oldest(self)[o]


@lru_cache(maxsize=256)
def _oldest(axis: AxisWindow) -> tuple[int, ...]:
    found = [axis.first(o) for o in range(axis.out_size)]
    for o in reversed(range(len(found) - 1)):
        found[o] = min(found[o], found[o + 1])
    return (0, *found[1:])


@dataclass(frozen=True)
class Window:
    """Kernel, stride, padding pair and dilation of the axes D, H, W."""

    kernel: tuple[int, int, int] = (1, 1, 1)
    stride: tuple[int, int, int] = (1, 1, 1)
    padding: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0), (0, 0))
    dilation: tuple[int, int, int] = (1, 1, 1)

    def __post_init__(self) -> None:
        # Of a single tap there is nothing to dilate, so that windows that are alike are equal.
        plain = tuple(1 if k == 1 else d for k, d in zip(self.kernel, self.dilation, strict=True))
        object.__setattr__(self, "dilation", plain)

    def axes(self, shape: Shape) -> tuple[AxisWindow, AxisWindow, AxisWindow]:
        """The three axis windows on an input of the given shape; raises ValueError naming the axis."""
        if shape not in self._known:
            self._known[shape] = self._axes(shape)
        return self._known[shape]

    @cached_property
    def _known(self) -> dict[Shape, tuple[AxisWindow, AxisWindow, AxisWindow]]:
        """Axis windows, by the shapes that were asked for: the planner asks thousands of times."""
        return {}

    def _axes(self, shape: Shape) -> tuple[AxisWindow, AxisWindow, AxisWindow]:
        found = []
        for axis, name in enumerate("DHW"):
            before, after = self.padding[axis]
            try:
                found.append(
                    AxisWindow(shape[axis], self.kernel[axis], self.stride[axis], before, after, self.dilation[axis])
                )
            except ValueError as error:
                raise ValueError(f"axis {name}: {error}") from None
        d, h, w = (size + sum(pair) for size, pair in zip(shape[:3], self.padding, strict=True))
        check_size((d, h, w, shape[3]))
        return found[0], found[1], found[2]

    def out_positions(self, shape: Shape) -> tuple[int, int, int]:
        d, h, w = self.axes(shape)
        return d.out_size, h.out_size, w.out_size

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)
