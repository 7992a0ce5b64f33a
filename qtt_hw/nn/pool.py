"""Pools with a padding pair per axis, and SAME padding at any stride; torch's own pad both sides alike."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.nn.window import Pairs, Triple, flat_padding, pool_padding, triple
from qtt_hw.window import Window

__all__ = ["PairAvgPool3d", "PairMaxPool3d", "PairPool3d", "pool_max", "pool_sum"]


def pool_max(x: Tensor, window: Window) -> Tensor:
    """The maximum over the valid taps of [N, C, D, H, W]."""
    alike = all(before == after <= k // 2 for (before, after), k in zip(window.padding, window.kernel, strict=True))
    if alike:  # what torch pads by itself
        pads = [before for before, _ in window.padding]
        return F.max_pool3d(x, window.kernel, window.stride, pads, window.dilation)
    x = F.pad(x, flat_padding(window.padding), value=-torch.inf)
    return F.max_pool3d(x, window.kernel, window.stride, 0, window.dilation)


def pool_sum(x: Tensor, window: Window) -> Tensor:
    """The sum over the valid taps of [N, C, D, H, W]."""
    if any(map(any, window.padding)):  # torch's own padding refuses a map smaller than the kernel
        x = F.pad(x, flat_padding(window.padding))
    return F.avg_pool3d(x, window.kernel, window.stride, divisor_override=1)


class PairPool3d(nn.Module):
    """A pool over [N, C, D, H, W]; padding is never counted, neither as a value nor in a mean's divisor.

    Parameters
    ----------
    kernel_size : int or (int, int, int)
    stride : int or (int, int, int), optional
        The kernel's unless given.
    padding : int, (int, int, int), three pairs or "same"
        "same" gives ceil(size / stride) outputs, an odd place of padding behind: TensorFlow's SAME.
    """

    kind: ClassVar[Literal["max", "average"]]

    def __init__(
        self,
        kernel_size: int | Triple,
        stride: int | Triple | None = None,
        padding: int | Triple | Pairs | str = 0,
    ) -> None:
        super().__init__()
        self.kernel_size = triple(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else triple(stride, "stride")
        self.padding = padding
        # Refuses what is no padding, and padding that a window could lie in wholly.
        largest = max(self.kernel_size)
        self.window((largest, largest, largest)).axes((largest, largest, largest, 1))

    def window(self, size: Triple) -> Window:
        """The window on a map of the given size (D, H, W)."""
        return Window(self.kernel_size, self.stride, pool_padding(size, self.kernel_size, self.stride, self.padding))

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding!r}"


def _size(x: Tensor) -> Triple:
    if x.ndim != 5:
        raise ValueError(f"a pool takes [N, C, D, H, W], got shape {list(x.shape)}")
    d, h, w = x.shape[2:]
    return d, h, w


class PairMaxPool3d(PairPool3d):
    """The maximum over the valid taps of float [N, C, D, H, W], by channel; padding is never one of the values.

    Parameters
    ----------
    kernel_size : int or (int, int, int)
        Along D, H, W.
    stride : int or (int, int, int), optional
        The kernel's unless given.
    padding : int, (int, int, int), three pairs or "same"
        Pairs are (before, after), along D, H, W. "same" gives ceil(size / stride) outputs, an odd place of padding
        behind: TensorFlow's SAME.

    Raises
    ------
    ValueError
        When a size is below 1, or padding so wide that a window could lie in it wholly; on input of other axes.

    Examples
    --------
    >>> import torch
    >>> import qtt_hw
    >>> x = torch.arange(5.0).reshape(1, 1, 1, 1, 5)
    >>> qtt_hw.PairMaxPool3d((1, 1, 2), padding="same")(x).flatten().tolist()
    [1.0, 3.0, 4.0]
    >>> qtt_hw.PairMaxPool3d((1, 1, 2), padding=((0, 0), (0, 0), (1, 0)))(x).flatten().tolist()
    [0.0, 2.0, 4.0]
    """

    kind = "max"

    def forward(self, x: Tensor) -> Tensor:
        return pool_max(x, self.window(_size(x)))


class PairAvgPool3d(PairPool3d):
    """The mean over the valid taps of float [N, C, D, H, W], by channel; padding is not counted in the divisor.

    Parameters
    ----------
    kernel_size : int or (int, int, int)
        Along D, H, W.
    stride : int or (int, int, int), optional
        The kernel's unless given.
    padding : int, (int, int, int), three pairs or "same"
        Pairs are (before, after), along D, H, W. "same" gives ceil(size / stride) outputs, an odd place of padding
        behind: TensorFlow's SAME.

    Raises
    ------
    ValueError
        When a size is below 1, or padding so wide that a window could lie in it wholly; on input of other axes.

    Examples
    --------
    >>> import torch
    >>> import qtt_hw
    >>> x = torch.arange(5.0).reshape(1, 1, 1, 1, 5)
    >>> qtt_hw.PairAvgPool3d((1, 1, 2), padding="same")(x).flatten().tolist()
    [0.5, 2.5, 4.0]
    """

    kind = "average"

    def forward(self, x: Tensor) -> Tensor:
        size = _size(x)
        window = self.window(size)
        counts = [torch.tensor([a.count(o) for o in range(a.out_size)]) for a in window.axes((*size, 1))]
        count = counts[0][:, None, None] * counts[1][:, None] * counts[2]
        return pool_sum(x, window) / count.to(x.device, x.dtype)
