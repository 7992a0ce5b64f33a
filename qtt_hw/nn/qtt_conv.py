"""QTTConv3d: a 3D convolution whose kernel is a tensor train of a spatial core and cores over factored channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.nn.dense import paired_modes, require_dense
from qtt_hw.nn.window import Pairs, Triple, flat_padding, padding_pairs, triple
from qtt_hw.tt.chain import ChainStep, ContractionPath, best_path, contraction_steps, step_weight
from qtt_hw.tt.shapes import check_ranks, full_ranks, inner_ranks, warn_if_larger
from qtt_hw.tt.svd import full, norm, relative_error, tt_svd
from qtt_hw.window import Window

__all__ = ["QTTConv3d"]


class QTTConv3d(nn.Module):
    """Conv3d of float [N, C, D, H, W] whose kernel is a tensor train of the taps and of factors of the channels.

    W[(s1, s2, ...), (c1, c2, ...), k] = G0[k, :] G1[:, c1, s1, :] G2[:, c2, s2, :] ..., the format of QTTNet: core 0
    holds the taps k, raster over (kd, kh, kw), the others pair a factor of the input channels with one of the output
    channels, the most significant first. In float, `forward` composes the kernel and convolves once, which is the same
    function as any order of contraction and on most machines the fastest. Prepared, it is contracted step by step along
    `path` with every intermediate quantised, or merged into a dense kernel: see `QuantConfig.tt_form`.

    Parameters
    ----------
    in_channels, out_channels : int
    in_modes, out_modes : sequence of int, [d]
        Factors of the channel counts.
    ranks : int or sequence of d int
        TT-ranks between the cores, that behind the spatial core first.
    kernel_size : int or (int, int, int)
    stride : int or (int, int, int)
    padding : int, (int, int, int), three pairs or "same" (with stride 1)
    bias : bool
        A bias per output channel; leave it out before batch norm.
    path : ContractionPath or str, optional
        Which cores are contracted together, in order: "0 1-3", or backward "2-3 1 0"; "best" for the grouping of
        fewest multiplications. When left out, core by core, from the end that needs fewer multiplications.
    redundant_ranks : bool
        Let ranks exceed what their modes can use, as some published networks do.
    dilation : int or (int, int, int)
        Positions from one tap to the next, along each axis.

    Raises
    ------
    ValueError
        When the modes do not pair up or do not multiply to the channels, a rank is above its bound, or the path does
        not cover the cores.

    Warns
    -----
    UserWarning
        When the cores have more parameters than the dense kernel.

    References
    ----------
    Lee, Wang, Wang, Yang, Liu, Li, Xu, Wen, "QTTNet: Quantized tensor train neural networks for 3D object and video
    recognition", Neural Networks 141 (2021).

    Examples
    --------
    >>> import torch
    >>> import qtt_hw
    >>> layer = qtt_hw.QTTConv3d(8, 16, (2, 4), (4, 4), ranks=4, padding=1)
    >>> layer(torch.zeros(1, 8, 5, 5, 5)).shape
    torch.Size([1, 16, 5, 5, 5])
    >>> sum(p.numel() for p in layer.parameters()), layer.composed_kernel().numel()
    (300, 3456)
    >>> qtt_hw.QTTConv3d(8, 16, (2, 2), (4, 4), ranks=4)
    Traceback (most recent call last):
        ...
    ValueError: in_modes [2, 2] multiply to 4, not to 8 channels
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        in_modes: Sequence[int],
        out_modes: Sequence[int],
        ranks: int | Sequence[int],
        kernel_size: int | Triple = 3,
        stride: int | Triple = 1,
        padding: int | Triple | Pairs | str = 0,
        bias: bool = False,
        path: ContractionPath | str | None = None,
        redundant_ranks: bool = False,
        dilation: int | Triple = 1,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.in_modes, self.out_modes = tuple(in_modes), tuple(out_modes)
        if len(self.in_modes) != len(self.out_modes) or not self.in_modes:
            raise ValueError(f"in_modes {list(in_modes)} and out_modes {list(out_modes)} must pair up")
        for name, modes, channels in (("in", self.in_modes, in_channels), ("out", self.out_modes, out_channels)):
            if min(modes) < 1 or math.prod(modes) != channels:
                raise ValueError(
                    f"{name}_modes {list(modes)} multiply to {math.prod(modes)}, not to {channels} channels"
                )
        self.kernel_size = triple(kernel_size, "kernel_size")
        self.stride = triple(stride, "stride")
        self.dilation = triple(dilation, "dilation")
        self.padding = padding_pairs(self.kernel_size, self.stride, padding, self.dilation)
        self.ranks, self.redundant_ranks = inner_ranks(ranks, len(self.in_modes) + 1), redundant_ranks
        for i, (rank, bound) in enumerate(zip(self.ranks, full_ranks(self.sizes), strict=True)):
            if rank > bound and not redundant_ranks:
                raise ValueError(f"rank {rank} between cores {i} and {i + 1} is above its bound {bound}: lower it")
        self.set_path(path)
        #: ||W - TT|| / ||W|| of the kernel that the cores were made from; 0 for a layer that started as a train.
        self.relative_error = 0.0
        ends = (*self.ranks, 1)
        self.spatial = nn.Parameter(torch.empty(self.ranks[0], *self.kernel_size))
        self.cores = nn.ParameterList(
            nn.Parameter(torch.empty(ends[i], c, s, ends[i + 1]))
            for i, (c, s) in enumerate(zip(self.in_modes, self.out_modes, strict=True))
        )
        count = self.spatial.numel() + sum(core.numel() for core in self.cores)
        dense = in_channels * out_channels * self.taps
        warn_if_larger(count, dense, f"QTTConv3d({in_channels}, {out_channels}, ranks={self.ranks})")
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.reset_parameters()

    def set_path(self, path: ContractionPath | str | None) -> None:
        """Contract along another path; the layer's function stays the same."""
        if path == "best":
            path = best_path((1, *self.in_modes), (1, *self.out_modes), self.ranks, self.taps)
        self.path = ContractionPath.of(path, self.train_length)

    def reordered(self, in_modes: Sequence[int], out_modes: Sequence[int]) -> QTTConv3d:
        """A fresh layer of the same size and ranks with its modes in another order."""
        for name, old, new in (("in", self.in_modes, in_modes), ("out", self.out_modes, out_modes)):
            if sorted(old) != sorted(new):
                raise ValueError(f"{name}_modes {list(new)} are not {list(old)} in another order")
        return QTTConv3d(
            self.in_channels,
            self.out_channels,
            in_modes,
            out_modes,
            self.ranks,
            self.kernel_size,
            self.stride,
            self.padding,
            self.bias is not None,
            redundant_ranks=self.redundant_ranks,
            dilation=self.dilation,
        )

    @property
    def window(self) -> Window:
        return Window(self.kernel_size, self.stride, self.padding, self.dilation)

    @property
    def taps(self) -> int:
        return math.prod(self.kernel_size)

    @property
    def train_length(self) -> int:
        """Cores, the spatial one included."""
        return len(self.in_modes) + 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Mode sizes of the tensor train: the taps, then c * s of every pair."""
        return (self.taps, *(c * s for c, s in zip(self.in_modes, self.out_modes, strict=True)))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal cores of equal norm, whose composed kernel has He's variance 2 / fan_in."""
        for core in (self.spatial, *self.cores):
            nn.init.orthogonal_(core.view(core.shape[0], -1))
            core.div_(core.norm())
        target = math.sqrt(2.0 * self.out_channels)
        factor = (target / norm(self._train())) ** (1.0 / self.train_length)
        for core in (self.spatial, *self.cores):
            core.mul_(factor)
        if self.bias is not None:
            self.bias.zero_()

    def steps(self) -> tuple[ChainStep, ...]:
        """The contractions in the order they run; the one with core 0 has the taps."""
        return contraction_steps((1, *self.in_modes), (1, *self.out_modes), self.ranks, self.path, self.taps)

    def train_cores(self) -> list[Tensor]:
        """The cores as [r, c, s, r']; the spatial one is [1, 1, taps, r']."""
        return [self.spatial.flatten(1).T[None, None], *self.cores]

    def step_weight(self, step: ChainStep) -> Tensor:
        """The step's cores as a kernel [out, in, kd, kh, kw] over the modes it makes and takes."""
        weight: Tensor = step_weight(self.train_cores(), step)
        return weight.reshape(*weight.shape[:2], *(self.kernel_size if step.first == 0 else (1, 1, 1)))

    def kernel(self) -> Tensor:
        """The dense kernel [out, in, kd, kh, kw] of the cores, with gradients."""
        whole = ContractionPath(((0, len(self.in_modes)),))
        return self.step_weight(contraction_steps((1, *self.in_modes), (1, *self.out_modes), self.ranks, whole)[0])

    def _train(self) -> list[np.ndarray]:
        """The cores as float64 [r, n, r'], over the modes `sizes`."""
        return [core.detach().to("cpu", torch.float64).flatten(1, 2).numpy() for core in self.train_cores()]

    def composed_kernel(self) -> Tensor:
        """The dense kernel [out, in, kd, kh, kw], float64."""
        pairs = [n for pair in zip(self.in_modes, self.out_modes, strict=True) for n in pair]
        dense = full(self._train()).reshape(self.taps, *pairs)
        d = len(self.in_modes)
        order = [*range(2, 2 * d + 1, 2), *range(1, 2 * d, 2), 0]
        kernel = np.ascontiguousarray(dense.transpose(order))
        return torch.from_numpy(kernel.reshape(self.out_channels, self.in_channels, *self.kernel_size))

    @classmethod
    def from_dense(
        cls,
        conv: nn.Conv3d,
        in_modes: Sequence[int],
        out_modes: Sequence[int],
        ranks: int | Sequence[int] | None = None,
        eps: float | None = None,
        redundant_ranks: bool = False,
    ) -> QTTConv3d:
        """The TT-SVD of a convolution's kernel, by upper bounds on the ranks or by relative error.

        The error made is the result's `relative_error`.

        Parameters
        ----------
        conv : nn.Conv3d
            With groups=1; left as it is.
        in_modes, out_modes : sequence of int, [d]
            Factors of its channel counts.
        ranks : int or sequence of d int, optional
            Upper bounds: of each rank, or of all.
        eps : float, optional
            Bound on ||W - TT|| / ||W||, in place of ranks.
        redundant_ranks : bool
            Whether ranks above those that are of use are taken for the greatest that are, not refused.

        Raises
        ------
        ValueError
            When the layer is no such convolution, the modes do not multiply to its channels, a rank is of no use, or
            both bounds or none are given.
        """
        require_dense(conv, "QTTConv3d", nn.Conv3d)
        if math.prod(in_modes) != conv.in_channels or math.prod(out_modes) != conv.out_channels:
            raise ValueError(
                f"modes {list(in_modes)} and {list(out_modes)} do not multiply to "
                f"{conv.in_channels} and {conv.out_channels} channels"
            )
        tensor = paired_modes(conv.weight, in_modes, out_modes)
        if ranks is not None and not redundant_ranks:
            check_ranks(ranks, tensor.shape, f"QTTConv3d({list(in_modes)}, {list(out_modes)}): ranks")
        train = tt_svd(tensor, ranks, eps)
        kernel, stride, dilation = (triple(n, "sizes") for n in (conv.kernel_size, conv.stride, conv.dilation))
        padding = conv.padding
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            in_modes,
            out_modes,
            tuple(core.shape[2] for core in train[:-1]),
            kernel,
            stride,
            padding if isinstance(padding, str) else (padding[0], padding[1], padding[2]),
            bias=conv.bias is not None,
            dilation=dilation,
        )
        with torch.no_grad():
            layer.spatial.copy_(torch.from_numpy(np.ascontiguousarray(train[0][0].T)).view(layer.spatial.shape))
            for core, values in zip(layer.cores, train[1:], strict=True):
                core.copy_(torch.from_numpy(np.ascontiguousarray(values)).view(core.shape))
            if conv.bias is not None and layer.bias is not None:
                layer.bias.copy_(conv.bias)
        layer.relative_error = relative_error(tensor, train)
        return layer.to(conv.weight.device, conv.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of [N, C, D, H, W] with the composed kernel."""
        if any(before != after for before, after in self.padding):
            x, pads = F.pad(x, flat_padding(self.padding)), [0, 0, 0]
        else:
            pads = [before for before, _ in self.padding]
        kernel = self.kernel().contiguous(memory_format=torch.channels_last_3d)
        return F.conv3d(x, kernel, self.bias, self.stride, pads, self.dilation)

    def extra_repr(self) -> str:
        path = ContractionPath(tuple((step.first, step.last) for step in self.steps()))
        return (
            f"{self.in_channels}, {self.out_channels}, {self.in_modes}, {self.out_modes}, ranks={self.ranks}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"bias={self.bias is not None}, path='{path}'"
            + ("" if set(self.dilation) == {1} else f", dilation={self.dilation}")
        )
