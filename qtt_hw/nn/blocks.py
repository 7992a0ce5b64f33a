"""The block of the named networks: convolution, dense or as a tensor train, then batch norm and ReLU."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from qtt_hw.nn.tt_conv import TTConv3d
from qtt_hw.nn.window import Triple

__all__ = ["ConvBlock"]


class ConvBlock(nn.Sequential):
    """relu(batch_norm(conv(x))) of float [N, C, D, H, W]; the convolution is dense or a tensor train, without bias.

    Its members are `conv`, `norm` and `relu`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int, int)
        Along D, H, W.
    ranks : int or sequence of 4 int, optional
        A TTConv3d of these ranks; a dense Conv3d when left out.
    stride : int or (int, int, int)
    padding : int, (int, int, int) or "same"
        On both sides of each axis; "same" keeps the size and needs stride 1.

    Raises
    ------
    ValueError
        When no tensor train of these sizes has the ranks, or a size is below 1.

    Examples
    --------
    >>> import torch
    >>> import qtt_hw
    >>> block = qtt_hw.ConvBlock(8, 16, 3, ranks=4, stride=2, padding=1)
    >>> block(torch.zeros(1, 8, 6, 6, 6)).shape
    torch.Size([1, 16, 3, 3, 3])
    >>> type(block.conv).__name__, type(qtt_hw.ConvBlock(8, 16, 3).conv).__name__
    ('TTConv3d', 'Conv3d')
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Triple,
        ranks: int | Sequence[int] | None = None,
        stride: int | Triple = 1,
        padding: int | Triple | str = 0,
    ) -> None:
        super().__init__()
        self.conv: nn.Module
        if ranks is None:
            self.conv = nn.Conv3d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        else:
            self.conv = TTConv3d(in_channels, out_channels, kernel_size, ranks, stride, padding)
        self.norm = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU()
