"""The shortcut without parameters of residual networks: fewer positions, and channels of zeros."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Subsample", "subsample"]


def subsample(x: Tensor, stride: Sequence[int], before: int, channels: int) -> Tensor:
    """Every stride-th position of [N, C, ...], its channels between `before` and so many zeros that there are enough.

    Parameters
    ----------
    x : tensor, [N, C, ...]
    stride : sequence of int
        One an axis of positions.
    before : int
        Channels of zeros in front.
    channels : int
        Of the result.
    """
    taken = x[(slice(None), slice(None), *(slice(None, None, step) for step in stride))]
    after = channels - before - x.shape[1]
    return F.pad(taken, (*(0, 0) * len(stride), before, after)) if before or after else taken


class Subsample(nn.Module):
    """Every stride-th position along every axis, and channels of zeros on both sides: [N, C, ...] to [N, C', ...].

    The shortcut without parameters of residual networks, where a block has more channels and fewer positions.

    Parameters
    ----------
    in_channels, out_channels : int
        out_channels at least in_channels; half of the new channels stand in front, an odd one more stands last.
    stride : int
        Along every axis of positions, however many there are.

    Raises
    ------
    ValueError
        When out_channels is less than in_channels, or a number below 1; on input of another number of channels.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", doi 10.1109/CVPR.2016.90, option A.

    Examples
    --------
    >>> import torch
    >>> import qtt_hw
    >>> x = torch.arange(1.0, 5.0).reshape(1, 1, 1, 1, 4)
    >>> y = qtt_hw.Subsample(1, 3, stride=2)(x)
    >>> y.shape
    torch.Size([1, 3, 1, 1, 2])
    >>> y.flatten(2)[0].tolist()
    [[0.0, 0.0], [1.0, 3.0], [0.0, 0.0]]
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if stride < 1 or in_channels < 1:
            raise ValueError(f"stride and channels must be at least 1, got {stride} and {in_channels}")
        if out_channels < in_channels:
            raise ValueError(f"pads {in_channels} channels with zeros, {out_channels} are fewer")
        self.in_channels, self.out_channels, self.stride = in_channels, out_channels, stride

    @property
    def before(self) -> int:
        """Channels of zeros in front."""
        return (self.out_channels - self.in_channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.in_channels:
            raise ValueError(f"Subsample takes {self.in_channels} channels, got {x.shape[1]}")
        return subsample(x, (self.stride,) * (x.ndim - 2), self.before, self.out_channels)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"
