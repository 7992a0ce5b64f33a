"""TTLinear: a linear layer whose weight is a TT-matrix, contracted core by core."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from qtt_hw.nn.dense import paired_modes, require_dense
from qtt_hw.tt.chain import ChainStep, ContractionPath, best_path, contraction_steps, step_weight
from qtt_hw.tt.shapes import check_ranks, inner_ranks, warn_if_larger
from qtt_hw.tt.svd import full, norm, relative_error, tt_svd

__all__ = ["TTLinear"]


class TTLinear(nn.Module):
    """y[(s0, s1, ...)] = sum over (c0, c1, ...) of G0[:, c0, s0, :] G1[:, c1, s1, :] ... x[(c0, c1, ...)] + bias.

    A linear layer from float [N, in_features] to [N, out_features], the products of the modes, whose weight is a
    TT-matrix. A trained dense layer becomes one by `TTLinear.from_dense`.

    Parameters
    ----------
    in_modes, out_modes : sequence of int, [d]
        Factors of the input and output size, most significant first.
    ranks : int or sequence of d - 1 int
        TT-ranks between the cores.
    bias : bool
        A bias per output; leave it out before batch norm.
    path : ContractionPath or str, optional
        Which cores are contracted together, in order: "0 1-2", or backward "2 0-1"; "best" for the grouping of fewest
        multiplications. When left out, core by core, from the end that needs fewer multiplications.
    redundant_ranks : bool
        Let ranks exceed what their modes can use.

    Raises
    ------
    ValueError
        When the modes do not pair up, a rank is above the largest that is of use, or the path does not cover the cores.

    Warns
    -----
    UserWarning
        When the cores have more parameters than the dense weight.

    References
    ----------
    Novikov, Podoprikhin, Osokin, Vetrov, "Tensorizing neural networks", NeurIPS 2015, arXiv:1509.06569.

    Examples
    --------
    >>> import torch
    >>> import qtt_hw
    >>> layer = qtt_hw.TTLinear((4, 8), (4, 4), ranks=2)
    >>> layer(torch.zeros(1, 32)).shape
    torch.Size([1, 16])
    >>> sum(core.numel() for core in layer.cores), layer.in_features * layer.out_features
    (96, 512)
    >>> qtt_hw.TTLinear((4, 8), (4, 4), ranks=40)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: TTLinear((4, 8), (4, 4)): ranks: 40 is above 16, ...; the largest of all are [16]
    """

    def __init__(
        self,
        in_modes: Sequence[int],
        out_modes: Sequence[int],
        ranks: int | Sequence[int],
        bias: bool = False,
        path: ContractionPath | str | None = None,
        redundant_ranks: bool = False,
    ) -> None:
        super().__init__()
        self.in_modes, self.out_modes = tuple(in_modes), tuple(out_modes)
        if len(self.in_modes) != len(self.out_modes) or not self.in_modes:
            raise ValueError(f"in_modes {list(in_modes)} and out_modes {list(out_modes)} must pair up")
        if min(self.in_modes + self.out_modes) < 1:
            raise ValueError(f"modes must be at least 1, got {list(in_modes)} and {list(out_modes)}")
        self.in_features, self.out_features = math.prod(self.in_modes), math.prod(self.out_modes)
        self.ranks = inner_ranks(ranks, len(self.in_modes))
        sizes = [c * s for c, s in zip(self.in_modes, self.out_modes, strict=True)]
        self.redundant_ranks = redundant_ranks
        if len(sizes) > 1 and not redundant_ranks:
            check_ranks(ranks, sizes, f"TTLinear({self.in_modes}, {self.out_modes}): ranks")
        self.set_path(path)
        #: ||W - TT|| / ||W|| of the weight that the cores were made from; 0 for a layer that started as a train.
        self.relative_error = 0.0
        ends = (1, *self.ranks, 1)
        self.cores = nn.ParameterList(
            nn.Parameter(torch.empty(ends[i], c, s, ends[i + 1]))
            for i, (c, s) in enumerate(zip(self.in_modes, self.out_modes, strict=True))
        )
        count, dense = sum(core.numel() for core in self.cores), self.in_features * self.out_features
        warn_if_larger(count, dense, f"TTLinear({self.in_modes}, {self.out_modes}, ranks={self.ranks})")
        self.bias = nn.Parameter(torch.zeros(self.out_features)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal cores of equal norm, whose composed weight has He's variance 2 / in_features."""
        for core in self.cores:
            flat = torch.empty(core.shape[0] * core.shape[1], core.shape[2] * core.shape[3])
            nn.init.orthogonal_(flat)
            core.copy_((flat / flat.norm()).view(core.shape))
        factor = (math.sqrt(2.0 * self.out_features) / norm(self._train())) ** (1.0 / len(self.cores))
        for core in self.cores:
            core.mul_(factor)
        if self.bias is not None:
            self.bias.zero_()

    @property
    def train_length(self) -> int:
        """Cores."""
        return len(self.in_modes)

    def set_path(self, path: ContractionPath | str | None) -> None:
        """Contract along another path; the layer's function stays the same."""
        if path == "best":
            path = best_path(self.in_modes, self.out_modes, self.ranks)
        self.path = ContractionPath.of(path, self.train_length)

    def reordered(self, in_modes: Sequence[int], out_modes: Sequence[int]) -> TTLinear:
        """A fresh layer of the same size and ranks with its modes in another order."""
        for name, old, new in (("in", self.in_modes, in_modes), ("out", self.out_modes, out_modes)):
            if sorted(old) != sorted(new):
                raise ValueError(f"{name}_modes {list(new)} are not {list(old)} in another order")
        return TTLinear(in_modes, out_modes, self.ranks, self.bias is not None, redundant_ranks=self.redundant_ranks)

    def steps(self) -> tuple[ChainStep, ...]:
        """The contractions in the order they run."""
        return contraction_steps(self.in_modes, self.out_modes, self.ranks, self.path)

    def step_weight(self, step: ChainStep) -> Tensor:
        """The step's cores as one matrix [out, in] over the modes it makes and takes."""
        weight: Tensor = step_weight(list(self.cores), step)
        return weight.flatten(1)

    def _train(self) -> list[np.ndarray]:
        """The cores as float64 [r, c * s, r']."""
        return [core.detach().to("cpu", torch.float64).flatten(1, 2).numpy() for core in self.cores]

    def composed_weight(self) -> Tensor:
        """The dense weight [out_features, in_features], float64."""
        pairs = full(self._train()).reshape(
            [n for pair in zip(self.in_modes, self.out_modes, strict=True) for n in pair]
        )
        d = len(self.in_modes)
        matrix = pairs.transpose([*range(1, 2 * d, 2), *range(0, 2 * d, 2)])
        return torch.from_numpy(np.ascontiguousarray(matrix).reshape(self.out_features, self.in_features))

    @classmethod
    def from_dense(
        cls,
        linear: nn.Linear,
        in_modes: Sequence[int],
        out_modes: Sequence[int],
        ranks: int | Sequence[int] | None = None,
        eps: float | None = None,
        redundant_ranks: bool = False,
    ) -> TTLinear:
        """The TT-SVD of a linear layer's weight, by upper bounds on the ranks or by relative error.

        The error made is the result's `relative_error`.

        Parameters
        ----------
        linear : nn.Linear
            Left as it is.
        in_modes, out_modes : sequence of int, [d]
            Factors of its input and output size.
        ranks : int or sequence of d - 1 int, optional
            Upper bounds: of each rank, or of all.
        eps : float, optional
            Bound on ||W - TT|| / ||W||, in place of ranks.
        redundant_ranks : bool
            Whether ranks above those that are of use are taken for the greatest that are, not refused.

        Raises
        ------
        ValueError
            When the layer is no nn.Linear, the modes do not multiply to its sizes, a rank is of no use, or both bounds
            or none are given.
        """
        require_dense(linear, "TTLinear", nn.Linear)
        if math.prod(in_modes) != linear.in_features or math.prod(out_modes) != linear.out_features:
            raise ValueError(
                f"modes {list(in_modes)} and {list(out_modes)} do not multiply to "
                f"{linear.in_features} inputs and {linear.out_features} outputs"
            )
        d, tensor = len(in_modes), paired_modes(linear.weight, in_modes, out_modes)[0]
        if d > 1 and ranks is not None and not redundant_ranks:
            check_ranks(ranks, tensor.shape, f"TTLinear({list(in_modes)}, {list(out_modes)}): ranks")
        train = tt_svd(tensor, ranks, eps) if d > 1 else [tensor[None, :, None]]
        layer = cls(in_modes, out_modes, tuple(core.shape[2] for core in train[:-1]), bias=linear.bias is not None)
        with torch.no_grad():
            for core, values in zip(layer.cores, train, strict=True):
                core.copy_(torch.from_numpy(np.ascontiguousarray(values)).view(core.shape))
            if layer.bias is not None:
                layer.bias.copy_(linear.bias)
        layer.relative_error = relative_error(tensor, train)
        return layer.to(linear.weight.device, linear.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_features] to [N, out_features]."""
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(f"TTLinear takes [N, {self.in_features}], got {list(x.shape)}")
        for step in self.steps():
            x = self.step_weight(step) @ x.reshape(-1, step.lead, step.in_size, step.trail)
        y = x.reshape(-1, self.out_features)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        path = ContractionPath(tuple((step.first, step.last) for step in self.steps()))
        return f"{self.in_modes}, {self.out_modes}, ranks={self.ranks}, bias={self.bias is not None}, path='{path}'"
