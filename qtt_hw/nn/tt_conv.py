"""TTConv3d: a 3D convolution whose kernel is a tensor train over (in, depth, height, width, out)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.nn.window import Triple, flat_padding, same_padding, triple
from qtt_hw.tt.shapes import inner_ranks
from qtt_hw.tt.svd import full, norm, relative_error, tt_svd

__all__ = ["STAGES", "TTConv3d"]

#: The five convolutions, in the order they run.
STAGES = ("in", "d", "h", "w", "out")


class TTConv3d(nn.Module):
    """Conv3d with the kernel W[s,c,i,j,k] = sum over ranks of out[s,.] w[.,.,k] h[.,.,j] d[.,.,i] in[.,c].

    It runs as five convolutions: 1x1x1, Kx1x1, 1xKx1, 1x1xK, 1x1x1, each axis' stride and padding at its own stage.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int, int)
    ranks : int or sequence of 4 int
        Channels between the five stages.
    stride : int or (int, int, int)
    padding : int, (int, int, int) or "same"
    bias : bool
        A bias per output channel; leave it out before batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Triple,
        ranks: int | Sequence[int],
        stride: int | Triple = 1,
        padding: int | Triple | str = 0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = triple(kernel_size, "kernel_size")
        self.stride = triple(stride, "stride")
        self.padding = same_padding(self.kernel_size, self.stride, padding)
        self.ranks = inner_ranks(ranks, len(STAGES))
        #: ||W - TT|| / ||W|| of the kernel that the cores were made from; 0 for a layer that started as a train.
        self.relative_error = 0.0
        r1, r2, r3, r4 = self.ranks
        kd, kh, kw = self.kernel_size
        shapes = ((r1, in_channels, 1, 1, 1), (r2, r1, kd, 1, 1), (r3, r2, 1, kh, 1), (r4, r3, 1, 1, kw))
        cores = [nn.Parameter(torch.empty(shape)) for shape in (*shapes, (out_channels, r4, 1, 1, 1))]
        self.core_in, self.core_d, self.core_h, self.core_w, self.core_out = cores
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.reset_parameters()

    @property
    def cores(self) -> tuple[nn.Parameter, ...]:
        """The five kernels [out, in, kd, kh, kw], in the order of STAGES."""
        return self.core_in, self.core_d, self.core_h, self.core_w, self.core_out

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal cores of equal norm, whose composed kernel has He's variance 2 / fan_in."""
        for core in self.cores:
            nn.init.orthogonal_(core.view(core.shape[0], -1))
        fan_in = self.in_channels * math.prod(self.kernel_size)
        target = math.sqrt(2.0 / fan_in * fan_in * self.out_channels)
        for core in self.cores:
            core.div_(core.norm())
        factor = (target / norm(self._train())) ** (1.0 / len(STAGES))
        for core in self.cores:
            core.mul_(factor)
        if self.bias is not None:
            self.bias.zero_()

    def _train(self) -> list[np.ndarray]:
        """The cores as float64 [r, n, r'], over the modes (in, depth, height, width, out)."""
        first, *middle, last = (core.detach().to("cpu", torch.float64) for core in self.cores)
        chain = [first.flatten(1).T[None], *(core.flatten(2).permute(1, 2, 0) for core in middle)]
        return [core.numpy() for core in (*chain, last.flatten(1).T[..., None])]

    def composed_kernel(self) -> Tensor:
        """The dense kernel [out, in, kd, kh, kw], float64."""
        return torch.from_numpy(np.ascontiguousarray(full(self._train()).transpose(4, 0, 1, 2, 3)))

    @classmethod
    def from_dense(
        cls, conv: nn.Conv3d, ranks: int | Sequence[int] | None = None, eps: float | None = None
    ) -> TTConv3d:
        """The TT-SVD of a convolution's kernel, by upper bounds on the ranks or by relative error.

        The error made is the result's `relative_error`.
        """
        if conv.groups != 1 or conv.dilation != (1, 1, 1) or conv.padding_mode != "zeros":
            raise ValueError("only a Conv3d with groups=1, dilation=1 and padding_mode='zeros' becomes a TTConv3d")
        kernel = conv.weight.detach().to("cpu", torch.float64).numpy().transpose(1, 2, 3, 4, 0)
        train = tt_svd(kernel, ranks, eps)
        sizes: Triple = (conv.kernel_size[0], conv.kernel_size[1], conv.kernel_size[2])
        strides: Triple = (conv.stride[0], conv.stride[1], conv.stride[2])
        padding = conv.padding if isinstance(conv.padding, str) else (*conv.padding,)
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            sizes,
            tuple(core.shape[2] for core in train[:-1]),
            strides,
            padding,  # type: ignore[arg-type]
            bias=conv.bias is not None,
        )
        with torch.no_grad():
            for core, values in zip(layer.cores, train, strict=True):
                order = (1, 0, 2) if core is layer.core_out else (2, 0, 1)
                core.copy_(torch.from_numpy(np.ascontiguousarray(values.transpose(order))).view(core.shape))
            if conv.bias is not None and layer.bias is not None:
                layer.bias.copy_(conv.bias)
        layer.relative_error = relative_error(kernel, train)
        return layer.to(conv.weight.device, conv.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Five convolutions of [N, C, D, H, W]."""
        x = F.conv3d(x, self.core_in)
        for axis, core in enumerate(self.cores[1:4]):
            pads = tuple(pair if i == axis else (0, 0) for i, pair in enumerate(self.padding))
            if pads[axis] != (0, 0):
                x = F.pad(x, flat_padding(pads))
            stride = [self.stride[axis] if i == axis else 1 for i in range(3)]
            if self.kernel_size[axis] == 1 and self.stride[axis] > 1:
                # oneDNN's strided pointwise convolution writes beyond its workspace in the backward pass (issue 6035).
                kept = torch.arange(0, x.shape[axis + 2], self.stride[axis], device=x.device)
                x, stride[axis] = x.index_select(axis + 2, kept), 1
            x = F.conv3d(x, core, stride=stride)
        return F.conv3d(x, self.core_out, self.bias)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, ranks={self.ranks}, "
            f"stride={self.stride}, padding={self.padding}, bias={self.bias is not None}"
        )
