"""A convolution as its Tucker-2 decomposition: a pointwise one, a smaller one with the kernel, a pointwise one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qtt_hw.nn.dense import require_dense
from qtt_hw.tt.shapes import check_tucker
from qtt_hw.tt.tucker import partial_tucker

__all__ = ["TuckerConv"]


class TuckerConv(nn.Sequential):
    """W[s, c, ...] = sum over i, o of out[s, o] core[o, i, ...] in[i, c], run as three convolutions.

    Parameters
    ----------
    conv : Conv2d or Conv3d
        What it stands for: its channels, kernel, stride, padding, dilation and bias, not its values.
    ranks : (int, int)
        Channels in front of and behind the core.

    References
    ----------
    Kim, Park, Yoo, Choi, Yang, Shin, "Compression of deep convolutional neural networks for fast and low power mobile
    applications", ICLR 2016.
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, ranks: tuple[int, int]) -> None:
        require_dense(conv, "TuckerConv", nn.Conv2d, nn.Conv3d)
        kind: type[nn.Conv2d] | type[nn.Conv3d] = nn.Conv2d if isinstance(conv, nn.Conv2d) else nn.Conv3d
        taken, made = ranks
        size: tuple[int, ...] = conv.kernel_size
        bias = conv.bias is not None
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["first"] = kind(conv.in_channels, taken, 1, bias=False)
        layers["core"] = kind(taken, made, size, conv.stride, conv.padding, conv.dilation, bias=False)  # type: ignore[arg-type]
        layers["last"] = kind(made, conv.out_channels, 1, bias=bias)
        super().__init__(layers)
        self.ranks = (taken, made)

    @classmethod
    @torch.no_grad()
    def from_dense(cls, conv: nn.Conv2d | nn.Conv3d, ranks: Sequence[int], weight: Tensor | None = None) -> TuckerConv:
        """The decomposition of a convolution, or of another weight in its place; ranks are upper bounds.

        Ranks above the channels are refused.
        """
        require_dense(conv, "TuckerConv", nn.Conv2d, nn.Conv3d)
        channels = conv.in_channels, conv.out_channels
        check_tucker(ranks, channels, f"TuckerConv{channels}: ranks")
        kernel = (conv.weight if weight is None else weight).detach().to("cpu", torch.float64)
        core, (out, inner) = partial_tucker(kernel.numpy(), (0, 1), ranks[::-1])
        layer = cls(conv, (core.shape[1], core.shape[0]))
        ones = (1,) * (kernel.ndim - 2)
        for part, values in zip(layer, (inner.T, core, out), strict=True):
            made = torch.from_numpy(values.copy())
            part.weight.copy_(made if made.ndim > 2 else made.view(*made.shape, *ones))  # type: ignore[operator, union-attr]
        if conv.bias is not None:
            layer.last.bias.copy_(conv.bias)  # type: ignore[operator, union-attr]
        return layer.to(conv.weight.device, conv.weight.dtype)
