"""Incremental network quantisation (INQ): portions of the weights become powers of two, the others are retrained.

Zhou et al., Incremental network quantization: towards lossless CNNs with low-precision weights, ICLR 2017,
arXiv 1702.03044.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from qtt_hw.codebook import Codebook
from qtt_hw.quant.weight import WeightQuantizer, largest

__all__ = ["IncrementalQuantizer"]

#: Share of the least magnitude below which a weight becomes 0: half way between the two.
ZERO_BELOW = 0.5


class IncrementalQuantizer(WeightQuantizer):
    """INQ: weights become powers of two in portions, the largest first.

    There are 2**(bits - 2) magnitudes, and 0, for which one bit of a code is spent.

    The greatest exponent is floor(log2(4/3 * max |w|)) at calibration. Weights that have been taken stay as they are;
    training computes with the others in float. Evaluation quantises all of them.

    Parameters
    ----------
    bits : int
        Of a code, 2 to 6.
    shape : sequence of int
        Of the weight.
    """

    taken: Tensor
    values: Tensor
    top: Tensor

    def __init__(self, bits: int, shape: Sequence[int]) -> None:
        super().__init__()
        Codebook.of_top(bits, True, 0)  # refuses impossible bits
        self.bits = bits
        self.register_buffer("taken", torch.zeros(*shape, dtype=torch.bool))
        self.register_buffer("values", torch.zeros(*shape))
        self.register_buffer("top", torch.zeros((), dtype=torch.int64))

    @property
    def partial(self) -> bool:
        return not bool(self.taken.all())

    @property
    def book(self) -> Codebook:
        magnitudes = 1 << (self.bits - 2)
        return Codebook(self.bits, magnitudes, True, magnitudes - 1 - int(self.top))

    def format_of(self, weight: Tensor) -> Codebook:
        largest(weight)
        return self.book

    def integers(self, weight: Tensor) -> Tensor:
        book = self.format_of(weight)
        free = book.quantize(weight.detach().to(torch.float64), ZERO_BELOW)
        return torch.where(self.taken, self.values.to(torch.float64) * 2.0**book.frac, free)

    def forward(self, weight: Tensor) -> Tensor:
        if not self.training:
            return (self.integers(weight) * 2.0**-self.book.frac).to(weight.dtype)
        return torch.where(self.taken, self.values.to(weight.dtype), weight)

    def calibrate(self, weight: Tensor) -> None:
        share, exponent = math.frexp(largest(weight))  # share in [1/2, 1)
        self.top.fill_(exponent if share >= 0.75 else exponent - 1)
        self.taken.fill_(False)

    @torch.no_grad()
    def take(self, weight: Tensor, portion: float) -> None:
        """Quantise the largest of the weights that are free, until a portion of all is taken."""
        book = self.format_of(weight)
        size = weight.detach().abs().flatten().masked_fill(self.taken.flatten(), -1.0)
        count = round(portion * weight.numel()) - int(self.taken.sum())
        chosen = size.argsort(descending=True, stable=True)[: max(count, 0)]
        quantized = book.quantize(weight.detach().to(torch.float64).flatten()[chosen], ZERO_BELOW)
        self.values.view(-1)[chosen] = (quantized * 2.0**-book.frac).to(self.values.dtype)
        self.taken.view(-1)[chosen] = True

    def extra_repr(self) -> str:
        return f"bits={self.bits}, magnitudes={self.book.magnitudes}"
