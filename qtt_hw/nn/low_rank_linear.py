"""A linear layer whose weight is a product of two: the tensor train over its inputs and outputs, two linear layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import nn

from qtt_hw.nn.dense import require_dense
from qtt_hw.tt.ends import layer_train
from qtt_hw.tt.shapes import check_ranks
from qtt_hw.tt.svd import relative_error

__all__ = ["LowRankLinear"]


class LowRankLinear(nn.Sequential):
    """y = last first x + bias, of [N, ..., in_features], with a rank between the two.

    At equal rank a TTLinear over factors of both sizes has as many parameters, and more multiplications: what its first
    step takes in is carried through the second.

    Parameters
    ----------
    linear : Linear
        What it stands for: its sizes and bias, not its values.
    rank : int

    Attributes
    ----------
    relative_error : float
        ||W - last first|| / ||W|| of the weight that it was made from.
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        require_dense(linear, "LowRankLinear", nn.Linear)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["first"] = nn.Linear(linear.in_features, rank, bias=False)
        layers["last"] = nn.Linear(rank, linear.out_features, bias=linear.bias is not None)
        super().__init__(layers)
        self.ranks = (rank,)
        self.relative_error = 0.0

    @classmethod
    def modes_of(cls, linear: nn.Linear) -> np.ndarray:
        """A layer's weight as the tensor that is decomposed: float64 [in, out]."""
        weight: np.ndarray = linear.weight.detach().to("cpu", torch.float64).numpy()
        return weight.T

    @classmethod
    @torch.no_grad()
    def from_train(cls, linear: nn.Linear, train: Sequence[np.ndarray]) -> Self:
        """The layer that stands for a linear one with these cores [1, in, r] and [r, out, 1]."""
        require_dense(linear, cls.__name__, nn.Linear)
        first, last = train
        layer = cls(linear, first.shape[2])
        for part, values in zip(layer, (first[0], last[..., 0]), strict=True):
            part.weight.copy_(torch.from_numpy(np.ascontiguousarray(values.T)))  # type: ignore[operator, union-attr]
        if linear.bias is not None:
            layer.last.bias.copy_(linear.bias)  # type: ignore[operator, union-attr]
        layer.relative_error = relative_error(cls.modes_of(linear), train)
        return layer.to(linear.weight.device, linear.weight.dtype)

    @classmethod
    def from_dense(
        cls,
        linear: nn.Linear,
        ranks: int | Sequence[int] | None = None,
        eps: float | None = None,
        redundant_ranks: bool = False,
    ) -> Self:
        """The nearest layer of a rank, or within a relative error.

        Parameters
        ----------
        linear : nn.Linear
            Left as it is.
        ranks : int or sequence of 1 int, optional
            Upper bound.
        eps : float, optional
            Bound on ||W - last first|| / ||W||, in place of the rank.
        redundant_ranks : bool
            Whether a rank above the greatest of use is taken for it, not refused.
        """
        require_dense(linear, cls.__name__, nn.Linear)
        sizes = (linear.in_features, linear.out_features)
        if ranks is not None and not redundant_ranks:
            check_ranks(ranks, sizes, f"{cls.__name__} from Linear{sizes}: ranks")
        return cls.from_train(linear, layer_train(cls.modes_of(linear), ranks, eps))
