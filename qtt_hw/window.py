"""Windows over a stream: which inputs each output position reads when padding is skipped, not multiplied."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    """The taps of output position o on an axis: inputs o * stride - before + k for k in [0, kernel), inside [0, size).

    Parameters
    ----------
    size : int
        Input positions.
    kernel, stride : int
        At least 1 each.
    before, after : int
        Padding on each side; less than the kernel, so that no window lies wholly in padding.
    """

    size: int
    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        for name in ("size", "kernel", "stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("before", "after"):
            if not 0 <= getattr(self, name) < self.kernel:
                raise ValueError(
                    f"padding {name} must be 0 to {self.kernel - 1} for kernel {self.kernel}, got {getattr(self, name)}"
                )
        if self.size + self.before + self.after < self.kernel:
            raise ValueError(
                f"kernel {self.kernel} is larger than the padded axis of {self.size + self.before + self.after}"
            )

    @property
    def out_size(self) -> int:
        return (self.size + self.before + self.after - self.kernel) // self.stride + 1

    def first_tap(self, o: int) -> int:
        """The first kernel index of output o that falls on an input."""
        return max(self.before - o * self.stride, 0)

    def first(self, o: int) -> int:
        """The first input position of output o."""
        return max(o * self.stride - self.before, 0)

    def last(self, o: int) -> int:
        """The last input position of output o."""
        return min(o * self.stride - self.before + self.kernel, self.size) - 1

    def count(self, o: int) -> int:
        """The number of inputs that output o reads."""
        return self.last(o) - self.first(o) + 1


@dataclass(frozen=True)
class Window:
    """Kernel, stride and padding pair of the axes D, H, W."""

    kernel: tuple[int, int, int] = (1, 1, 1)
    stride: tuple[int, int, int] = (1, 1, 1)
    padding: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0), (0, 0))

    def axes(self, shape: Shape) -> tuple[AxisWindow, AxisWindow, AxisWindow]:
        """The three axis windows on an input of the given shape; raises ValueError naming the axis."""
        found = []
        for axis, name in enumerate("DHW"):
            before, after = self.padding[axis]
            try:
                found.append(AxisWindow(shape[axis], self.kernel[axis], self.stride[axis], before, after))
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
