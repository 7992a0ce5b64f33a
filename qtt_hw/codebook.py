"""Codebooks of signed powers of two: integers, stored codes and the nearest one, beside `qtt_hw.fixedpoint`.

As there, neither torch nor Amaranth is imported, and the same code runs on numpy and torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qtt_hw import explain
from qtt_hw.fixedpoint import MAX_FRAC, IntArray

__all__ = ["MAX_CODE_BITS", "Codebook"]

#: Width limit of a codebook's codes.
MAX_CODE_BITS = 6


@dataclass(frozen=True)
class Codebook:
    """Signed powers of two: value = integer * 2**-frac, integer = +-2**e with 0 <= e < magnitudes, or 0 with `zero`.

    A weight is stored as a code of `bits` bits: the sign on top, below it e without a zero, e + 1 with one, where 0 is
    the zero. A product with such a weight is a shift and a negation.

    Parameters
    ----------
    bits : int
        Of a stored code, 2 to 6.
    magnitudes : int
        At most 2**(bits - 1), one less with a zero.
    zero : bool
        Whether 0 has a code.
    frac : int
        2**-frac is the least magnitude's value; may be negative.
    """

    bits: int
    magnitudes: int
    zero: bool
    frac: int

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or not 2 <= self.bits <= MAX_CODE_BITS:
            raise ValueError(f"codebook bits must be 2 to {MAX_CODE_BITS}, got {self.bits}")
        most = (1 << (self.bits - 1)) - int(self.zero)
        if not 1 <= self.magnitudes <= most:
            raise ValueError(f"codes of {self.bits} bits hold 1 to {most} magnitudes, got {self.magnitudes}")
        if abs(self.frac) > MAX_FRAC:
            raise ValueError(explain.beyond(-self.frac, MAX_FRAC))

    @classmethod
    def of_top(cls, bits: int, zero: bool, top: int) -> Codebook:
        """Every code of so many bits in use, 2**top the greatest magnitude."""
        magnitudes = (1 << (bits - 1)) - int(zero) if isinstance(bits, int) and bits > 0 else 0
        return cls(bits, magnitudes, zero, magnitudes - 1 - top)

    @property
    def top(self) -> int:
        """The greatest magnitude's value is 2**top."""
        return self.magnitudes - 1 - self.frac

    @property
    def maximum(self) -> int:
        return 1 << (self.magnitudes - 1)

    @property
    def minimum(self) -> int:
        return -self.maximum

    @property
    def signed(self) -> bool:
        return True

    def contains(self, integers: IntArray) -> bool:
        """Whether every integer is one of the codebook's."""
        size = np.abs(integers)
        power = (size > 0) & ((size & (size - 1)) == 0) & (size <= self.maximum)
        return bool(np.all(power | ((size == 0) & self.zero)))

    def encode(self, integers: IntArray) -> IntArray:
        """The codes of integers that the codebook contains."""
        size = np.abs(integers)
        exponent = np.frexp(size.astype(np.float64))[1].astype(np.int64) - 1
        index = np.where(size == 0, 0, exponent + int(self.zero))
        return np.asarray(index + np.where(integers < 0, 1 << (self.bits - 1), 0), np.int64)

    def decode(self, codes: IntArray) -> IntArray:
        """The integers of codes; -0 is 0."""
        sign, index = codes >> (self.bits - 1), codes & ((1 << (self.bits - 1)) - 1)
        size = np.where((index == 0) & self.zero, 0, 1 << np.maximum(index - int(self.zero), 0))
        return np.where(sign == 1, -size, size)

    def quantize(self, values: Any, zero_below: float = 0.75) -> Any:
        """The integer of the magnitude 2**k with 3/4 * 2**k <= |value| < 3/2 * 2**k, clamped to the codebook's ends.

        As float64 integers; numpy or torch float64. With a zero, |value| below `zero_below` times the least magnitude
        becomes 0. Without one, 0 becomes the least magnitude, positive.
        """
        torch_like = hasattr(values, "new_empty")
        whole = values.new_empty(0).long().dtype if torch_like else np.int64
        scaled = (values if torch_like else np.asarray(values, np.float64)) * 2.0**self.frac + 0.0  # no -0
        # Half a fraction added to a float64's bits carries into the exponent from 3/2 of a power of two on.
        size = abs(scaled)
        power = ((size.view(whole) + (1 << 51)) & -(1 << 52)).view(size.dtype).clip(1.0, float(self.maximum))
        if self.zero:
            power = power * (size >= zero_below)
        return (power.view(whole) | (scaled.view(whole) & -(1 << 63))).view(size.dtype)
