"""Which compression a layer gets, chosen at the first C step from what the weights are by then."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from qtt_hw.lc.compression import Codes, Compression, TensorTrain, Tucker, Whole
from qtt_hw.rank.kernel_ranks import evbmf_ranks, optimised_ranks, published_tucker_ranks
from qtt_hw.tt.ends import layer_parameters

__all__ = ["EVBMF", "BayesOpt", "Given", "Selection"]


class Selection(ABC):
    """A choice that a few whole numbers record, so that a resumed run goes on with it."""

    @abstractmethod
    def numbers(self, weight: Tensor) -> tuple[int, ...]:
        """The choice for a weight; as many numbers for every weight of its shape."""

    @abstractmethod
    def count(self, weight: Tensor) -> int:
        """How many numbers."""

    @abstractmethod
    def compression(self, numbers: tuple[int, ...]) -> Compression:
        """The compression that was chosen."""


@dataclass(frozen=True)
class Given(Selection):
    """A compression that is known beforehand."""

    what: Compression

    def numbers(self, weight: Tensor) -> tuple[int, ...]:
        return ()

    def count(self, weight: Tensor) -> int:
        return 0

    def compression(self, numbers: tuple[int, ...]) -> Compression:
        return self.what


@dataclass(frozen=True)
class _Ranks(Selection):
    """Tucker ranks and TT-ranks of a convolution's kernel; zeros where its train would not be smaller.

    Parameters
    ----------
    codes : Codes, optional
        Of every core.
    form : "train" or "tucker"
        A tensor train, or the Tucker ranks alone.
    """

    codes: Codes | None = None
    form: str = "train"

    @abstractmethod
    def ranks(self, kernel: np.ndarray) -> tuple[tuple[int, int], tuple[int, ...]]:
        """(in, out) of Tucker, and the TT-ranks, of a kernel [in, *axes, out]."""

    def count(self, weight: Tensor) -> int:
        return weight.ndim + 1

    def numbers(self, weight: Tensor) -> tuple[int, ...]:
        kernel = np.moveaxis(weight.detach().to("cpu", torch.float64).numpy(), 0, -1)
        tucker, ranks = self.ranks(kernel)
        size = layer_parameters(kernel.shape, ranks)
        if self.form == "tucker":
            (i, o), taps = tucker, prod(kernel.shape[1:-1])
            size = kernel.shape[0] * i + i * o * taps + o * kernel.shape[-1]
        if size >= prod(kernel.shape):
            return (0,) * self.count(weight)
        return (*tucker, *ranks)

    def compression(self, numbers: tuple[int, ...]) -> Compression:
        if not any(numbers):
            return Whole()
        if self.form == "tucker":
            return Tucker((numbers[0], numbers[1]))
        return TensorTrain(numbers[2:], (numbers[0], numbers[1]), self.codes)


@dataclass(frozen=True)
class EVBMF(_Ranks):
    """All ranks by EVBMF.

    Parameters
    ----------
    factor : float
        Weakens them; see `qtt_hw.rank.evbmf.weakened`.
    """

    factor: float = 1.0

    def ranks(self, kernel: np.ndarray) -> tuple[tuple[int, int], tuple[int, ...]]:
        return evbmf_ranks(kernel, self.factor)


@dataclass(frozen=True)
class BayesOpt(_Ranks):
    """Tucker ranks by EVBMF or by Bayesian optimisation, then the core's TT-ranks by Bayesian optimisation.

    Parameters
    ----------
    tucker : "evbmf" or "bayes"
    factor : float
        Weakens EVBMF's.
    seed : int
    """

    tucker: str = "evbmf"
    factor: float = 1.0
    seed: int = 0

    def ranks(self, kernel: np.ndarray) -> tuple[tuple[int, int], tuple[int, ...]]:
        if self.tucker == "bayes" and min(kernel.shape[0], kernel.shape[-1]) >= 3:
            ends = published_tucker_ranks(kernel, self.seed)
        else:
            ends, _ = evbmf_ranks(kernel, self.factor)
        return ends, optimised_ranks(kernel, ends, self.seed)
