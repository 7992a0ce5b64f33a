"""What every weight quantiser does: float weights in, integers of a format or a codebook out, with a gradient."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from torch import Tensor, nn

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format

__all__ = ["WeightQuantizer", "greatest", "largest"]


def greatest(weight: Tensor) -> float:
    """max |weight|, finite; otherwise ValueError, of which the caller names the layer."""
    found = float(weight.detach().abs().max())
    if not math.isfinite(found):
        raise ValueError("a weight is not finite: training has diverged; lower its learning rate, or clip gradients")
    return found


def largest(weight: Tensor) -> float:
    """max |weight|, above 0 and finite; otherwise ValueError, of which the caller names the layer."""
    found = greatest(weight)
    if found == 0.0:
        raise ValueError("all its weights are 0, so there is no largest one to set a codebook by")
    return found


class WeightQuantizer(nn.Module, ABC):
    """Weights of any shape as integers * 2**-frac; a format's own, or a codebook's powers of two."""

    #: Of a stored integer or code.
    bits: int
    #: Whether training moves the float weight; otherwise something that stands in for it.
    trains_weight = True

    @abstractmethod
    def format_of(self, weight: Tensor) -> Format | Codebook:
        """The format of the weight's integers, as it is now."""

    @abstractmethod
    def integers(self, weight: Tensor) -> Tensor:
        """The integers, float64 of the weight's shape, without a gradient."""

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """The values that training computes with, in the weight's dtype, with gradients."""

    @abstractmethod
    def calibrate(self, weight: Tensor) -> None:
        """Set the scale, or what codes stand for, from this weight."""

    def stored_bits(self, count: int) -> int:
        """Bits that so many weights take as they are stored."""
        return count * self.bits

    def factors(self) -> Tensor | None:
        """What sums of the values are multiplied by, float32 by output channel [out]; None where it is nothing."""
        return None

    @property
    def partial(self) -> bool:
        """Whether training still computes with some weights in float."""
        return False
