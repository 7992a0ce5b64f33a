"""Weights as signed powers of two: dynamic quantisation coding (DQC), and its static counterpart (SQC).

Rao et al., Acta Automatica Sinica 45(10):1960-1968, 2019, doi 10.16383/j.aas.c180554: a codebook of the magnitudes
2**n2, 2**(n2 - 1), ... with n2 = floor(log2(max |w|)), which follows the weights in every forward pass.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from qtt_hw.codebook import Codebook
from qtt_hw.quant.fake import StraightThrough
from qtt_hw.quant.weight import WeightQuantizer, largest

__all__ = ["DynamicCodebook", "StaticCodebook", "top_exponent"]


def top_exponent(weight: Tensor) -> int:
    """floor(log2(max |weight|)), exact."""
    return math.frexp(largest(weight))[1] - 1


class _Scaled(torch.autograd.Function):
    """quantized, with |quantized| times its gradient handed to weight."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, quantized: Tensor) -> Tensor:
        ctx.save_for_backward(quantized)
        return quantized

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (quantized,) = ctx.saved_tensors
        return gradients[0] * quantized.abs(), None


class DynamicCodebook(WeightQuantizer):
    """DQC: powers of two below the largest weight, whose exponent is found anew in every forward pass.

    Parameters
    ----------
    bits : int
        Of a code, 2 to 6.
    zero : bool
        The least magnitude's codes stand for 0 instead, up to 3/4 of the next magnitude.
    gradient : "scaled" or "straight"
        dL/dw = |q| * dL/dq as published, where q = sign(w) * |q| and only the sign has a gradient, so that a weight at
        0 has none; or dL/dw = dL/dq.
    """

    #: (greatest exponent when last seen, how often it has changed since calibration), int64.
    history: Tensor

    def __init__(self, bits: int, zero: bool = False, gradient: Literal["scaled", "straight"] = "scaled") -> None:
        super().__init__()
        Codebook.of_top(bits, zero, 0)  # refuses impossible bits
        self.bits, self.zero, self.gradient = bits, zero, gradient
        self.register_buffer("history", torch.zeros(2, dtype=torch.int64))

    @property
    def crossings(self) -> int:
        """How often the largest weight crossed a power of two between two forward passes of training."""
        return int(self.history[1])

    def _book(self, top: int) -> Codebook:
        """The codebook when the largest weight's exponent is `top`."""
        return Codebook.of_top(self.bits, self.zero, top)

    def format_of(self, weight: Tensor) -> Codebook:
        return self._book(top_exponent(weight))

    def integers(self, weight: Tensor) -> Tensor:
        integers: Tensor = self.format_of(weight).quantize(weight.detach().to(torch.float64))
        return integers

    def forward(self, weight: Tensor) -> Tensor:
        top = top_exponent(weight)
        book = self._book(top)
        if self.training and top != int(self.history[0]):
            self.history.copy_(torch.tensor([top, self.crossings + 1]))
        quantized = (book.quantize(weight.detach().to(torch.float64)) * 2.0**-book.frac).to(weight.dtype)
        how = _Scaled if self.gradient == "scaled" else StraightThrough
        result: Tensor = how.apply(weight, quantized)
        return result

    def calibrate(self, weight: Tensor) -> None:
        self.history.copy_(torch.tensor([top_exponent(weight), 0]))

    def extra_repr(self) -> str:
        return f"bits={self.bits}, zero={self.zero}, gradient={self.gradient}"


class StaticCodebook(DynamicCodebook):
    """SQC: the same codebook and gradient, the greatest exponent fixed at calibration."""

    top: Tensor

    def __init__(self, bits: int, zero: bool = False, gradient: Literal["scaled", "straight"] = "scaled") -> None:
        super().__init__(bits, zero, gradient)
        self.register_buffer("top", torch.zeros((), dtype=torch.int64))

    def _book(self, top: int) -> Codebook:
        return super()._book(int(self.top))

    def calibrate(self, weight: Tensor) -> None:
        super().calibrate(weight)
        self.top.fill_(top_exponent(weight))
