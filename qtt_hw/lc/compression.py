"""The C step: the compression of one weight, as a tensor train, as codes, or as a tensor train of codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qtt_hw.quant import QuantConfig, weight_quantizer
from qtt_hw.tt.ends import kept_ends, layer_train
from qtt_hw.tt.svd import full
from qtt_hw.tt.tucker import partial_tucker

__all__ = ["Codes", "Compression", "TensorTrain", "Tucker", "Whole"]


class Compression(ABC):
    """A set of weights that cost less to store, and the projection onto it."""

    @abstractmethod
    def compress(self, weight: Tensor) -> Tensor:
        """The compressed weight, near in squared error; float64 of the weight's shape."""


@dataclass(frozen=True)
class Whole(Compression):
    """No compression: for a layer that would not become smaller."""

    def compress(self, weight: Tensor) -> Tensor:
        return weight.detach().to(torch.float64)


@dataclass(frozen=True)
class Codes(Compression):
    """Integers of a uniform format at the scale of least error, or a codebook.

    Parameters
    ----------
    bits : int
    codebook : "dqc" or "kmeans", optional
    zero : bool
        Of dqc.
    """

    bits: int
    codebook: Literal["dqc", "kmeans"] | None = None
    zero: bool = False

    def compress(self, weight: Tensor) -> Tensor:
        config = QuantConfig(weight_bits=self.bits, codebook=self.codebook, zero=self.zero)
        quantizer = weight_quantizer(config, self.bits, tuple(weight.shape)).eval()
        quantizer.calibrate(weight)
        integers: Tensor = quantizer.integers(weight)
        return integers * 2.0 ** -quantizer.format_of(weight).frac


@dataclass(frozen=True)
class TensorTrain(Compression):
    """A kernel [out, in, *kernel] as the train of a TTConv2d or TTConv3d; a matrix [out, in] as a LowRankLinear's.

    Parameters
    ----------
    ranks : sequence of int, optional
        TT-ranks: upper bounds, but for an end that the layer has not. With `tucker` they may be left out.
    tucker : (int, int), optional
        Ranks of the input and the output channels at ends that the layer has: TT-Tucker. The TT-SVD alone when left
        out.
    codes : Codes, optional
        Of every core: both compressions together, one after the other.
    """

    ranks: tuple[int, ...] | None
    tucker: tuple[int, int] | None = None
    codes: Codes | None = None

    def cores(self, weight: Tensor) -> list[NDArray[np.float64]]:
        """The cores [r, n, r'] over the modes (in, *kernel, out), with identities for ends that the layer has not."""
        kernel = np.moveaxis(weight.detach().to("cpu", torch.float64).numpy(), 0, -1)
        train = layer_train(kernel, self.ranks, tucker=self.tucker)
        if self.codes is None:
            return train
        first, last = kept_ends([core.shape[1] for core in train], [core.shape[2] for core in train[:-1]])
        for i in range(not first, len(train) - (not last)):
            train[i] = self.codes.compress(torch.from_numpy(np.ascontiguousarray(train[i]))).numpy()
        return train

    def compress(self, weight: Tensor) -> Tensor:
        dense = np.moveaxis(full(self.cores(weight)), -1, 0)
        return torch.from_numpy(np.ascontiguousarray(dense)).to(weight.device)


@dataclass(frozen=True)
class Tucker(Compression):
    """A convolution's kernel [out, in, *kernel] of Tucker ranks (in, out): that of a TuckerConv."""

    ranks: tuple[int, int]

    def compress(self, weight: Tensor) -> Tensor:
        kernel = weight.detach().to("cpu", torch.float64).numpy()
        core, (out, inner) = partial_tucker(kernel, (0, 1), self.ranks[::-1])
        dense = np.einsum("so,ci,oi...->sc...", out, inner, core)
        return torch.from_numpy(np.ascontiguousarray(dense)).to(weight.device)
