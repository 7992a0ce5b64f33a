"""Weights that share a few trained values: k-means codebooks, as in Deep Compression without its pruning.

Han et al., Deep compression: compressing deep neural networks with pruning, trained quantization and Huffman coding,
ICLR 2016, arXiv 1510.00149.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format, quantize
from qtt_hw.quant.fake import FRAC_LIMIT, StraightThrough, beyond
from qtt_hw.quant.weight import WeightQuantizer, largest

__all__ = ["CENTROID_BITS", "ClusteredQuantizer", "lloyd"]

#: Of a centroid's integer.
CENTROID_BITS = 8
#: Rounds after which Lloyd's algorithm stops where it has not settled; it has within a few dozen.
ROUNDS = 300


def lloyd(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """k-means of numbers, by Lloyd's algorithm from centroids spread evenly between the extremes.

    Parameters
    ----------
    values : float64 tensor, [n]
    count : int
        Of clusters; one that loses all its members keeps its centroid.

    Returns
    -------
    centroids : float64 tensor, [count], ascending
    index : int64 tensor, [n]
        The nearest centroid of each value.
    """
    centroids = torch.linspace(float(values.min()), float(values.max()), count, dtype=torch.float64)
    index = torch.full(values.shape, -1)
    for _ in range(ROUNDS):
        nearest = torch.bucketize(values, (centroids[1:] + centroids[:-1]) / 2)
        if torch.equal(nearest, index):
            break
        index = nearest
        members = torch.bincount(index, minlength=count)
        sums = torch.bincount(index, weights=values, minlength=count)
        centroids = torch.where(members > 0, sums / members.clamp(min=1), centroids)
    return centroids, index


class ClusteredQuantizer(WeightQuantizer):
    """2**bits centroids of a layer; each weight is the one that it is nearest to at calibration.

    Training moves the centroids, whose gradient is the sum over their members, and not the weights. A centroid is an
    integer of 8 bits, whose scale follows the largest of them.

    Parameters
    ----------
    bits : int
        Of a code, 1 to 8.
    shape : sequence of int
        Of the weight.
    """

    trains_weight = False
    codes: Tensor

    def __init__(self, bits: int, shape: Sequence[int]) -> None:
        super().__init__()
        if not 1 <= bits <= 8:
            raise ValueError(f"a k-means codebook has codes of 1 to 8 bits, got {bits}")
        self.bits = bits
        self.centroids = nn.Parameter(torch.zeros(1 << bits))
        self.register_buffer("codes", torch.zeros(*shape, dtype=torch.uint8))

    @property
    def format(self) -> Format:
        """The finest scale in which no centroid is clipped."""
        maximum = Format(CENTROID_BITS, True, 0, narrow=True).maximum
        frac = math.frexp(maximum / largest(self.centroids))[1] - 1
        return Format(CENTROID_BITS, True, max(-FRAC_LIMIT, min(frac, FRAC_LIMIT)), narrow=True)

    def format_of(self, weight: Tensor) -> Format:
        return self.format

    def integers(self, weight: Tensor) -> Tensor:
        table: Tensor = quantize(self.centroids.detach().to(torch.float64), self.format)
        return table[self.codes.to(torch.int64)]

    def forward(self, weight: Tensor) -> Tensor:
        fmt = self.format
        table = quantize(self.centroids.detach().to(torch.float64), fmt) * 2.0**-fmt.frac
        values: Tensor = StraightThrough.apply(self.centroids, table.to(self.centroids.dtype))
        return values[self.codes.to(torch.int64)]

    @torch.no_grad()
    def calibrate(self, weight: Tensor) -> None:
        largest(weight)
        if (said := beyond(weight, CENTROID_BITS)) is not None:
            raise ValueError(said)
        centroids, index = lloyd(weight.detach().to("cpu", torch.float64).flatten(), 1 << self.bits)
        self.centroids.copy_(centroids)
        self.codes.copy_(index.view(weight.shape))

    def stored_bits(self, count: int) -> int:
        return count * self.bits + self.centroids.numel() * CENTROID_BITS

    def extra_repr(self) -> str:
        return f"bits={self.bits}"
