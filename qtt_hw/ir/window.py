"""Windows along one axis: which inputs each output position reads when padding is skipped, not multiplied."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AxisWindow"]


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
