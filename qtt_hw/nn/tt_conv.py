"""TTConv3d and TTConv2d: convolutions whose kernel is a tensor train over (in, each axis, out)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.nn.dense import require_dense
from qtt_hw.nn.window import Triple, flat_padding, same_padding, triple
from qtt_hw.tt.ends import absorb_ends, check_layer_ranks, kept_ends, layer_train
from qtt_hw.tt.shapes import check_ranks, check_tucker, inner_ranks, warn_if_larger
from qtt_hw.tt.svd import full, norm, relative_error

__all__ = ["TTConv2d", "TTConv3d", "TTConvNd"]

#: Names of the axes D, H, W in those of cores and stages.
AXES = "dhw"


class TTConvNd(nn.Module):
    """What TTConv3d and TTConv2d share; a 2D kernel is a 3D one of depth 1 without a core for the depth.

    Attributes
    ----------
    axes : tuple of int
        The axes, of D, H, W, that have a core.
    kernel_size, stride, padding, dilation : triples, padding in pairs, over D, H, W
    ranks : tuple of int
    ends : (bool, bool)
        Whether the pointwise stages in front of and behind the axes' are there; see `qtt_hw.tt.ends`.
    relative_error : float
        ||W - TT|| / ||W|| of the kernel that the cores were made from; 0 for a layer that started as a train.
    """

    axes: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        ranks: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        bias: bool = False,
        ends: tuple[bool, bool] = (True, True),
        redundant_ranks: bool = False,
        dilation: int | Sequence[int] = 1,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = triple(self._volume(kernel_size, 1), "kernel_size")
        self.stride = triple(self._volume(stride, 1), "stride")
        self.dilation = triple(self._volume(dilation, 1), "dilation")
        pads = padding if isinstance(padding, str) else self._volume(padding, 0)
        self.padding = same_padding(self.kernel_size, self.stride, pads, self.dilation)
        self.ranks = inner_ranks(ranks, len(self.axes) + 2)
        self.ends = ends
        first, last = ends
        sizes = (in_channels, *(self.kernel_size[axis] for axis in self.axes), out_channels)
        absent = (0,) * (not first) + (len(self.ranks) - 1,) * (not last)
        if not redundant_ranks:
            check_ranks(ranks, sizes, f"{type(self).__name__}({in_channels}, {out_channels}): ranks", absent)
        for there, rank, channels in ((first, self.ranks[0], in_channels), (last, self.ranks[-1], out_channels)):
            if not there and rank != channels:
                raise ValueError(f"without its pointwise stage an end rank is that of {channels} channels, got {rank}")
        self.relative_error = 0.0
        for name, shape in zip(self.stages, self._shapes(), strict=True):
            self.register_parameter(f"core_{name}", nn.Parameter(torch.empty(shape)))
        count = sum(core.numel() for core in self.cores)
        warn_if_larger(
            count, math.prod(sizes), f"{type(self).__name__}({in_channels}, {out_channels}, ranks={self.ranks})"
        )
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.reset_parameters()

    @classmethod
    def _volume(cls, value: int | Sequence[int], missing: int) -> int | Sequence[int]:
        """A size per axis as one per D, H, W; a single number stands for the axes that the layer has."""
        if len(cls.axes) == 3:
            return value
        values = (value,) * len(cls.axes) if isinstance(value, int) else tuple(value)
        if len(values) != len(cls.axes):
            raise ValueError(f"expected one number or {len(cls.axes)}, got {list(values)}")
        return (missing,) * (3 - len(values)) + values

    def _shapes(self) -> list[tuple[int, ...]]:
        channels = (self.in_channels, *self.ranks, self.out_channels)
        kernels = [(1, 1, 1), *(self._along(axis, self.kernel_size[axis], 1) for axis in self.axes), (1, 1, 1)]
        shapes: list[tuple[int, ...]]
        shapes = [(made, taken, *kernel) for taken, made, kernel in zip(channels, channels[1:], kernels, strict=False)]
        first, last = self.ends
        return shapes[not first : len(shapes) - (not last)]

    @staticmethod
    def _along(axis: int, value: int, other: int) -> Triple:
        d, h, w = (value if i == axis else other for i in range(3))
        return d, h, w

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the convolutions in the order they run: in, then the axes, out; the ends where they are there."""
        first, last = self.ends
        return (*("in",) * first, *(AXES[axis] for axis in self.axes), *("out",) * last)

    @property
    def stage_axes(self) -> tuple[int | None, ...]:
        """The axis of each stage; None of a pointwise one."""
        first, last = self.ends
        return (*(None,) * first, *self.axes, *(None,) * last)

    @property
    def cores(self) -> tuple[nn.Parameter, ...]:
        """The kernels [out, in, kd, kh, kw], in the order of `stages`."""
        return tuple(getattr(self, f"core_{name}") for name in self.stages)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal cores of equal norm, whose composed kernel has He's variance 2 / fan_in."""
        for core in self.cores:
            nn.init.orthogonal_(core.view(core.shape[0], -1))
            core.div_(core.norm())
        factor = (math.sqrt(2.0 * self.out_channels) / norm(self._train())) ** (1.0 / len(self.stages))
        for core in self.cores:
            core.mul_(factor)
        if self.bias is not None:
            self.bias.zero_()

    def _train(self) -> list[np.ndarray]:
        """The cores as float64 [r, n, r'] over the modes (in, the axes, out); identities for absent ends."""
        cores = [core.detach().to("cpu", torch.float64).flatten(2).permute(1, 2, 0).numpy() for core in self.cores]
        first = cores.pop(0)[:, 0] if self.ends[0] else np.eye(self.in_channels)
        last = cores.pop()[:, 0] if self.ends[1] else np.eye(self.out_channels)
        return [first[None], *cores, last[..., None]]

    def composed_kernel(self) -> Tensor:
        """The dense kernel [out, in, *kernel over the layer's axes], float64."""
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(full(self._train()), -1, 0)))

    @classmethod
    def _require(cls, conv: object) -> None:
        require_dense(conv, cls.__name__, nn.Conv2d if len(cls.axes) == 2 else nn.Conv3d)

    @classmethod
    def modes_of(cls, conv: nn.Conv2d | nn.Conv3d) -> np.ndarray:
        """A convolution's kernel as the tensor that is decomposed: float64 [in, *kernel, out]."""
        return np.moveaxis(conv.weight.detach().to("cpu", torch.float64).numpy(), 0, -1)

    @classmethod
    def from_train(cls, conv: nn.Conv2d | nn.Conv3d, train: Sequence[np.ndarray]) -> Self:
        """The layer that stands for a convolution with these cores [r, n, r'] over (in, *kernel, out).

        Ends that `qtt_hw.tt.ends` does not keep become part of the next cores, and their stages fall away.
        """
        cls._require(conv)
        cores = absorb_ends(train)
        ranks = tuple(core.shape[2] for core in cores[:-1])
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            ranks,
            conv.stride,
            conv.padding,
            bias=conv.bias is not None,
            ends=kept_ends([core.shape[1] for core in cores], ranks),
            redundant_ranks=True,
            dilation=conv.dilation,
        )
        kept = cores[not layer.ends[0] : len(cores) - (not layer.ends[1])]
        with torch.no_grad():
            for core, values in zip(layer.cores, kept, strict=True):
                # [in or r, taps, out or r']: of an end core the mode is the channels, not taps.
                order = (1, 0, 2) if values is kept[-1] and layer.ends[1] else (2, 0, 1)
                core.copy_(torch.from_numpy(np.ascontiguousarray(values.transpose(order))).view(core.shape))
            if conv.bias is not None and layer.bias is not None:
                layer.bias.copy_(conv.bias)
        layer.relative_error = relative_error(cls.modes_of(conv), train)
        return layer.to(conv.weight.device, conv.weight.dtype)

    @classmethod
    def from_dense(
        cls,
        conv: nn.Conv2d | nn.Conv3d,
        ranks: int | Sequence[int] | None = None,
        eps: float | None = None,
        tucker: tuple[int, int] | None = None,
        redundant_ranks: bool = False,
    ) -> Self:
        """The tensor train of a convolution's kernel, by upper bounds on the ranks or by relative error.

        An end stage that saves nothing becomes part of the next core, and then has all of its channels, whatever bound
        was given; see `qtt_hw.tt.ends`. The error made is the result's `relative_error`.

        Parameters
        ----------
        conv : nn.Conv3d, or nn.Conv2d for a TTConv2d
            With groups=1; left as it is.
        ranks : int or sequence of int, optional
            Upper bounds: of each rank, or of all.
        eps : float, optional
            Bound on ||W - TT|| / ||W||, in place of ranks.
        tucker : (int, int), optional
            Ranks of the input and the output channels: then it is the TT-Tucker decomposition, and where `ranks` are
            left out its core keeps its full ones.
        redundant_ranks : bool
            Whether ranks above those that are of use are taken for the greatest that are, not refused.

        Raises
        ------
        ValueError
            When the layer is no such convolution, a rank is of no use, or both bounds or none are given.
        """
        cls._require(conv)
        if not redundant_ranks:
            what = f"{cls.__name__} from {type(conv).__name__}({conv.in_channels}, {conv.out_channels})"
            if ranks is not None:
                check_layer_ranks(ranks, (conv.in_channels, *conv.kernel_size, conv.out_channels), f"{what}: ranks")
            if tucker is not None:
                check_tucker(tucker, (conv.in_channels, conv.out_channels), f"{what}: tucker")
        return cls.from_train(conv, layer_train(cls.modes_of(conv), ranks, eps, tucker))

    def forward(self, x: Tensor) -> Tensor:
        """The convolutions of [N, C, *axes], one after the other."""
        last = len(self.stages) - 1
        for index, (axis, core) in enumerate(zip(self.stage_axes, self.cores, strict=True)):
            bias = self.bias if index == last else None
            x = self._convolve(x, core, bias=bias) if axis is None else self._along_axis(x, axis, core, bias)
        return x

    def _along_axis(self, x: Tensor, axis: int, core: Tensor, bias: Tensor | None) -> Tensor:
        place = x.ndim - 3 + axis
        before, after = self.padding[axis]
        if (before, after) != (0, 0):
            pairs = tuple((before, after) if i == axis else (0, 0) for i in self.axes)
            x = F.pad(x, flat_padding(pairs))
        stride = self.stride[axis]
        if self.kernel_size[axis] == 1 and stride > 1:
            # oneDNN's strided pointwise convolution writes beyond its workspace in the backward pass (issue 6035).
            kept = torch.arange(0, x.shape[place], stride, device=x.device)
            x, stride = x.index_select(place, kept), 1
        steps = self._along(axis, stride, 1), self._along(axis, self.dilation[axis], 1)
        return self._convolve(x, core, *steps, bias=bias)

    def _convolve(
        self,
        x: Tensor,
        core: Tensor,
        stride: Triple = (1, 1, 1),
        dilation: Triple = (1, 1, 1),
        bias: Tensor | None = None,
    ) -> Tensor:
        if len(self.axes) == 3:
            return F.conv3d(x, core, bias, stride, dilation=dilation)
        return F.conv2d(x, core.squeeze(2), bias, stride[1:], dilation=dilation[1:])

    def extra_repr(self) -> str:
        first = 3 - len(self.axes)
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size[first:]}, ranks={self.ranks}, "
            f"stride={self.stride[first:]}, padding={self.padding[first:]}, bias={self.bias is not None}"
            + ("" if all(self.ends) else f", ends={self.ends}")
            + ("" if set(self.dilation) == {1} else f", dilation={self.dilation[first:]}")
        )


class TTConv3d(TTConvNd):
    """Conv3d of float [N, C, D, H, W] with W[s,c,i,j,k] = sum of out[s,.] w[.,.,k] h[.,.,j] d[.,.,i] in[.,c].

    The sum is over the ranks, written as dots. With both ends it runs as five convolutions: 1x1x1, Kx1x1, 1xKx1, 1x1xK,
    1x1x1, each axis' stride, padding and dilation at its own stage. A trained dense layer becomes one by
    `TTConv3d.from_dense`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int, int)
        Along D, H, W.
    ranks : int or sequence of 4 int
        Channels between the five stages. Where an end is left out, its rank is the layer's own number of channels.
    stride : int or (int, int, int)
    padding : int, (int, int, int) or "same"
        On both sides of each axis; "same" keeps the size and needs stride 1.
    bias : bool
        A bias per output channel; leave it out before batch norm.
    ends : (bool, bool)
        Whether the pointwise stages, first and last, are there.
    redundant_ranks : bool
        Let ranks exceed what a tensor train over these modes can use.
    dilation : int or (int, int, int)
        Positions from one tap to the next, along each axis.

    Raises
    ------
    ValueError
        When a rank is above the largest that is of use, with those; when padding is "same" and a stride is not 1; when
        an end is left out at another rank than its channels.

    Warns
    -----
    UserWarning
        When the cores have more parameters than the dense kernel.

    References
    ----------
    Oseledets, "Tensor-train decomposition", SIAM Journal on Scientific Computing 33 (2011), doi 10.1137/090752286.

    Examples
    --------
    >>> import torch
    >>> import qtt_hw
    >>> layer = qtt_hw.TTConv3d(8, 12, 3, ranks=4, padding=1)
    >>> layer(torch.zeros(1, 8, 6, 6, 6)).shape
    torch.Size([1, 12, 6, 6, 6])
    >>> sum(p.numel() for p in layer.parameters()), layer.composed_kernel().numel()
    (224, 2592)

    From a trained dense layer, by upper bounds on the ranks or by relative error; at full ranks nothing is lost:

    >>> dense = torch.nn.Conv3d(4, 4, 3, padding=1)
    >>> qtt_hw.TTConv3d.from_dense(dense, ranks=2).relative_error > 0.1
    True
    >>> qtt_hw.TTConv3d.from_dense(dense, ranks=(4, 12, 12, 4)).relative_error < 1e-6
    True
    """

    axes = (0, 1, 2)


class TTConv2d(TTConvNd):
    """Conv2d of float [N, C, H, W] with the kernel W[s,c,j,k] = sum of out[s,.] w[.,.,k] h[.,.,j] in[.,c].

    The sum is over the ranks, written as dots. With both ends it runs as four convolutions: 1x1, Kx1, 1xK, 1x1, each
    axis' stride and padding at its own stage. A trained dense layer becomes one by `TTConv2d.from_dense`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
        Along H, W.
    ranks : int or sequence of 3 int
        Channels between the four stages. Where an end is left out, its rank is the layer's own number of channels.
    stride : int or (int, int)
    padding : int, (int, int) or "same"
        On both sides of each axis; "same" keeps the size and needs stride 1.
    bias : bool
        A bias per output channel; leave it out before batch norm.
    ends : (bool, bool)
        Whether the pointwise stages, first and last, are there.
    redundant_ranks : bool
        Let ranks exceed what a tensor train over these modes can use.
    dilation : int or (int, int)
        Positions from one tap to the next, along each axis.

    Raises
    ------
    ValueError
        When a rank is above the largest that is of use, with those; when padding is "same" and a stride is not 1; when
        an end is left out at another rank than its channels.

    Warns
    -----
    UserWarning
        When the cores have more parameters than the dense kernel.

    References
    ----------
    Oseledets, "Tensor-train decomposition", SIAM Journal on Scientific Computing 33 (2011), doi 10.1137/090752286.

    Examples
    --------
    >>> import torch
    >>> import qtt_hw
    >>> layer = qtt_hw.TTConv2d(8, 12, 3, ranks=4, stride=2, padding=1)
    >>> layer(torch.zeros(1, 8, 6, 6)).shape
    torch.Size([1, 12, 3, 3])
    >>> layer.stages
    ('in', 'h', 'w', 'out')
    >>> qtt_hw.TTConv2d(8, 12, 3, ranks=30)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: TTConv2d(8, 12): ranks: 30 is above 24, ...; the largest of all are [8, 24, 12]
    """

    axes = (1, 2)
