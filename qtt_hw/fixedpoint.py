"""Fixed-point numbers: value = integer * 2**-frac, rounding half up, saturation, accumulator bounds.

This module is the one definition of the project's arithmetic. The prepared PyTorch model, the golden integer model
and the RTL generator all take their formats, rounding and bounds from here. It imports neither torch nor Amaranth;
the element-wise functions use only operators that numpy and torch integer tensors share, so the same code runs on
both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw import explain

__all__ = [
    "MAX_ACCUMULATOR_BITS",
    "MULTIPLIER_BITS",
    "OFFSET_BITS",
    "Format",
    "Requantizer",
    "accumulator_range",
    "as_integers",
    "average_requantizer",
    "bits_for_range",
    "fold_batch_norm",
    "quantize",
    "round_half_up",
    "round_shift",
]

#: Signed bits of the batch-norm multiplier m and of the offset b; the wide sums of codebooks have wider offsets.
MULTIPLIER_BITS = 16
OFFSET_BITS = 32
#: Where such sums leave m fewer bits, it may be off by this share of the greatest m.
MULTIPLIER_ERROR = 2.0**-6
#: Signed bits of the reciprocal of an average pool; wider, so that means of 16 bits over large maps are exact.
RECIPROCAL_BITS = 35
#: Accumulators beyond this width cannot be represented exactly by the float64 paths that check them.
MAX_ACCUMULATOR_BITS = 53
#: Bits that a requantiser may shift to the right and to the left.
MAX_RIGHT, MAX_LEFT = 62, 32
#: Limit of a scale's fractional bits, of either sign.
MAX_FRAC = 64
#: Width limit of a user-visible format.
MAX_BITS = 16

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Format:
    """An integer format: value = integer * 2**-frac, with integer in [minimum, maximum].

    Parameters
    ----------
    bits : int
        Total width, 1 to 16. One bit is only meaningful unsigned.
    signed : bool
        Two's complement when true.
    frac : int
        Fractional bits; may be negative.
    narrow : bool
        Symmetric range: -(2**(bits-1) - 1) is the minimum instead of -2**(bits-1). Used by weights.

    Raises
    ------
    ValueError
        When a signed format has one bit, an unsigned one is narrow, or `bits` or `frac` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import qtt_hw
    >>> pixels = qtt_hw.Format(bits=8, signed=True, frac=7)
    >>> pixels.minimum, pixels.maximum
    (-128, 127)
    >>> pixels.saturate(np.array([-200, 3, 200])).tolist()
    [-128, 3, 127]
    >>> qtt_hw.Format(bits=4, signed=True, frac=3, narrow=True).minimum
    -7
    >>> qtt_hw.Format(bits=1, signed=True, frac=0)
    Traceback (most recent call last):
        ...
    ValueError: a signed format needs at least 2 bits, got 1
    """

    bits: int
    signed: bool
    frac: int
    narrow: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"bit width must be 1 to {MAX_BITS}, got {self.bits}")
        if self.signed and self.bits < 2:
            raise ValueError(f"a signed format needs at least 2 bits, got {self.bits}")
        if self.narrow and not self.signed:
            raise ValueError("a narrow range is only defined for signed formats")
        if abs(self.frac) > MAX_FRAC:
            raise ValueError(f"frac must be {-MAX_FRAC} to {MAX_FRAC}, got {self.frac}")

    @property
    def minimum(self) -> int:
        """The least integer."""
        if not self.signed:
            return 0
        return -(1 << (self.bits - 1)) + int(self.narrow)

    @property
    def maximum(self) -> int:
        """The greatest integer."""
        return (1 << (self.bits - int(self.signed))) - 1

    def saturate(self, integers: Any) -> Any:
        """clamp(integers, minimum, maximum); numpy or torch."""
        return integers.clip(self.minimum, self.maximum)

    def contains(self, integers: IntArray) -> bool:
        """Whether every integer lies in [minimum, maximum]."""
        return bool(np.all((integers >= self.minimum) & (integers <= self.maximum)))


def round_half_up(values: Any) -> Any:
    """floor(values + 1/2), the exact sum's, of every float64 value; numpy or torch.

    In float64 the sum itself is rounded: floor(values + 0.5) is one too much of 0.5 - 2**-54 and of odd integers from
    2**52 to 2**53, and of nothing else. No product of a float32 and a power of two is among these, so what training
    rounds, weights and what is learned, was always rounded so.

    Raises
    ------
    ValueError
        For values of another type: what is added to them has already been rounded.
    """
    torch_like = hasattr(values, "floor")
    values = values if torch_like else np.asarray(values)
    if not str(values.dtype).endswith("float64"):
        raise ValueError(f"rounding half up takes float64, got {values.dtype}")
    low = values.floor() if torch_like else np.floor(values)
    with np.errstate(invalid="ignore"):  # infinity minus itself
        # Exact, but between -1/2 and 0, where it is not rounded below 1/2.
        return low + (values - low >= 0.5)


def quantize(values: Any, fmt: Format) -> Any:
    """clamp(floor(values * 2**frac + 1/2), minimum, maximum), as float64 integers; numpy or torch float64."""
    return fmt.saturate(round_half_up(values * 2.0**fmt.frac))


def round_shift(integers: Any, shift: int) -> Any:
    """integers * 2**-shift rounded half up: (x + 2**(s-1)) >> s for s > 0, else x << -s; int64, numpy or torch."""
    if shift > 0:
        return (integers + (1 << (shift - 1))) >> shift
    return integers << -shift


def bits_for_range(low: int, high: int) -> int:
    """Width of the least two's complement format that holds every integer in [low, high]."""
    return max(int(low).bit_length() if low >= 0 else int(-low - 1).bit_length(), int(high).bit_length()) + 1


def accumulator_range(weight: IntArray, x: Format) -> tuple[int, int]:
    """Least and greatest sum over all inputs of weight[out, ...] * x, over every output, partial sums included.

    Parameters
    ----------
    weight : int64 array, [out, ...]
        Integer weights.
    x : Format
        Format of the inputs.

    Returns
    -------
    (low, high) : tuple of int
        Every partial sum, in any order and with any subset of inputs skipped, lies within.
    """
    flat = weight.reshape(weight.shape[0], -1).astype(np.int64)
    positive = np.where(flat > 0, flat, 0).sum(axis=1)
    negative = np.where(flat < 0, flat, 0).sum(axis=1)
    # Python's integers: the products can be wider than int64, whose bounds are then refused by what asks for them.
    pairs = list(zip(positive.tolist(), negative.tolist(), strict=True))
    high = max(p * x.maximum + n * x.minimum for p, n in pairs)
    low = min(n * x.maximum + p * x.minimum for p, n in pairs)
    return min(low, 0), max(high, 0)


@dataclass(frozen=True)
class Requantizer:
    """y = clamp((acc * m[row] + b[row] + 2**(s-1)) >> s): from an accumulator to the output format.

    Without a multiplier it is a plain rounding shift, which may go left. The row is the output channel after batch
    norm; for an average pool it is the class of the number of valid taps.

    Parameters
    ----------
    out : Format
        Output format; ReLU is an unsigned output's lower bound.
    shift : int
        s; at least 0 when there is a multiplier.
    multiplier : tuple of int, [rows], or None
        m, signed 16 bits after batch norm, up to 35 for the reciprocals of an average pool.
    offset : tuple of int, [rows], or None
        b, signed 32 bits, up to 53 on the sums of codebooks; present exactly when the multiplier is.
    """

    out: Format
    shift: int
    multiplier: tuple[int, ...] | None = None
    offset: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if (self.multiplier is None) != (self.offset is None):
            raise ValueError("multiplier and offset come together")
        if not -MAX_LEFT <= self.shift <= MAX_RIGHT:
            raise ValueError(explain.unreachable(self.out.frac + self.shift, self.out.frac, MAX_RIGHT, MAX_LEFT))
        if self.multiplier is None or self.offset is None:
            return
        if self.shift < 0:
            raise ValueError(f"an affine requantiser cannot shift left, got shift {self.shift}")
        if len(self.multiplier) != len(self.offset):
            raise ValueError(f"{len(self.multiplier)} multipliers but {len(self.offset)} offsets")
        for name, values, bits in (
            ("multiplier", self.multiplier, RECIPROCAL_BITS),
            ("offset", self.offset, MAX_ACCUMULATOR_BITS),
        ):
            limit = 1 << (bits - 1)
            for row, value in enumerate(values):
                if not -limit <= value < limit:
                    raise ValueError(f"{name}[{row}] = {value} does not fit {bits} signed bits")

    def __hash__(self) -> int:
        """Without the rows, of which there may be thousands."""
        return hash((self.out, self.shift))

    @property
    def affine(self) -> bool:
        return self.multiplier is not None

    @property
    def offset_bits(self) -> int:
        """Stored bits of each offset."""
        assert self.offset is not None
        return max(OFFSET_BITS, bits_for_range(min(self.offset), max(self.offset)))

    @cached_property
    def multipliers(self) -> IntArray:
        return np.asarray(self.multiplier, dtype=np.int64)

    @cached_property
    def offsets(self) -> IntArray:
        return np.asarray(self.offset, dtype=np.int64)

    def coarser(self, bits: int) -> Requantizer:
        """The same with at most so many bits of the output, and a step as much larger."""
        lost = max(self.out.bits - bits, 0)
        out = Format(self.out.bits - lost, self.out.signed, self.out.frac - lost)
        return replace(self, out=out, shift=self.shift + lost)

    def __call__(self, acc: Any, multipliers: Any = None, offsets: Any = None) -> Any:
        """Requantised accumulators; int64 in, int64 out, numpy or torch.

        Parameters
        ----------
        acc : int64, [..., channels]
            Accumulators. Rows follow the last axis unless given.
        multipliers, offsets : int64, optional
            m and b gathered by row and broadcastable against `acc`; needed for torch tensors and for rows that are
            not the last axis.
        """
        if not self.affine:
            return self.out.saturate(round_shift(acc, self.shift))
        m = self.multipliers if multipliers is None else multipliers
        b = self.offsets if offsets is None else offsets
        return self.out.saturate(round_shift(acc * m + b, self.shift))

    def product_range(self, low: int, high: int) -> tuple[int, int]:
        """Range of acc * m + b + 2**(s-1) for acc in [low, high]: what the hardware's sum must hold."""
        half = 1 << (self.shift - 1) if self.shift > 0 else 0
        if not self.affine:
            left = max(-self.shift, 0)
            return min(low << left, 0), max((high << left) + half, 0)
        assert self.multiplier is not None and self.offset is not None
        ends = [acc * m + b + half for m, b in zip(self.multiplier, self.offset, strict=True) for acc in (low, high)]
        return min(*ends, 0), max(*ends, 0)

    def check(self, low: int, high: int) -> None:
        """Raise ValueError where a sum for acc in [low, high] is too wide to be exact."""
        bits = bits_for_range(*self.product_range(low, high))
        if bits <= MAX_ACCUMULATOR_BITS:
            return
        if not self.affine and self.shift >= MAX_ACCUMULATOR_BITS > bits_for_range(low, high):
            # It is the rounding term that is wide.
            most = MAX_ACCUMULATOR_BITS - 1
            raise ValueError(explain.unreachable(self.out.frac + self.shift, self.out.frac, most, MAX_LEFT))
        raise ValueError(explain.too_wide(bits, MAX_ACCUMULATOR_BITS))


def fold_batch_norm(
    slope: NDArray[np.float64],
    intercept: NDArray[np.float64],
    acc_frac: int,
    out: Format,
    sums: tuple[int, int] | None = None,
) -> Requantizer:
    """The Requantizer of y = slope[c] * x + intercept[c], from x = acc * 2**-acc_frac to the output format.

    m[c] = floor(slope * 2**(out.frac - acc_frac + s) + 1/2), b[c] = floor(intercept * 2**(out.frac + s) + 1/2), with
    the largest s at which every m fits 16 signed bits and every b 32.

    Given the range of sums as wide as a codebook's, b may have up to 53 bits, and s is the largest at which acc * m + b
    has no more: m gets fewer bits where the sums have many.

    Parameters
    ----------
    slope, intercept : float64 array, [channels]
        Of batch norm: gamma / sigma and beta - gamma * mu / sigma.
    acc_frac : int
        Fractional bits of the accumulator.
    out : Format
        Output format.
    sums : (int, int), optional
        Least and greatest acc.

    Raises
    ------
    ValueError
        When a slope is not finite, or too large to be held at any s >= 0; when sums leave m so few bits that it is off
        by more than 1/64 of the greatest. With the channel, and what to change.
    """
    slope = np.asarray(slope, dtype=np.float64)
    intercept = np.asarray(intercept, dtype=np.float64)
    finite = np.isfinite(slope) & np.isfinite(intercept)
    if not np.all(finite):
        raise ValueError(explain.not_finite(int(np.argmin(finite))))
    scaled_slope = slope * 2.0 ** (out.frac - acc_frac)
    scaled_intercept = intercept * 2.0**out.frac
    m_limit = float((1 << (MULTIPLIER_BITS - 1)) - 1)
    offset_bits = OFFSET_BITS if sums is None else MAX_ACCUMULATOR_BITS
    b_limit = float((1 << (offset_bits - 1)) - 1)
    needed, most_shift = 0, 40 if sums is None else MAX_ACCUMULATOR_BITS - 1
    for shift in range(most_shift, -1, -1):
        m = round_half_up(scaled_slope * 2.0**shift)
        b = round_half_up(scaled_intercept * 2.0**shift)
        if np.any(np.abs(m) > m_limit) or np.any(np.abs(b) > b_limit):
            continue
        requant = Requantizer(out, shift, tuple(int(v) for v in m), tuple(int(v) for v in b))
        if sums is None:
            return requant
        exact = scaled_slope * 2.0**shift
        if np.abs(m - exact).max() > MULTIPLIER_ERROR * np.abs(exact).max():
            if needed:  # at a larger shift it was precise, but too wide
                break
            bits = -round(math.log2(MULTIPLIER_ERROR))
            raise ValueError(explain.imprecise(intercept, bits, shift < most_shift, acc_frac, out.frac))
        needed = bits_for_range(*requant.product_range(*sums))
        if needed <= MAX_ACCUMULATOR_BITS:
            return requant
    if needed:
        raise ValueError(explain.too_wide(needed, MAX_ACCUMULATOR_BITS))
    limits = m_limit * 2.0 ** (acc_frac - out.frac), b_limit * 2.0**-out.frac
    raise ValueError(explain.too_large(slope, intercept, limits, acc_frac, out.frac))


def average_requantizer(x: Format, counts: tuple[int, ...]) -> Requantizer:
    """floor((2 * sum + n) / (2 * n)) for each n in counts, as an exact multiply and shift.

    Row i of the result divides by counts[i]. The least common shift is taken for which (sum * m + b + half) >> s equals
    the division for every reachable sum.

    Parameters
    ----------
    x : Format
        Format of the averaged elements, and of the result.
    counts : tuple of int
        Numbers of valid taps, each at least 1.
    """
    for n in counts:
        if n < 1:
            raise ValueError(f"an average needs at least one valid tap, got {n}")
    distinct = sorted(set(counts), reverse=True)  # the largest windows fail first
    for shift in range(64 - x.bits):  # beyond which a sum times m is wider than 64 bits
        m = {n: ((1 << shift) + n - 1) // n for n in distinct}
        if max(m.values()) >= 1 << (RECIPROCAL_BITS - 1):
            break
        offsets: dict[int, int] = {}
        for n in distinct:
            low, high = _exact_offsets(x, n, m[n], shift)
            if low > high:
                break
            offsets[n] = min(max(0, low), high)  # zero is preferred
        else:
            return Requantizer(x, shift, tuple(m[n] for n in counts), tuple(offsets[n] for n in counts))
    raise ValueError(explain.no_reciprocal(max(counts), x.bits, RECIPROCAL_BITS))


def as_integers(array: np.ndarray) -> IntArray:
    """A read-only int64 copy; raises ValueError where a value is no integer of 64 signed bits."""
    kind = array.dtype.kind
    with np.errstate(invalid="ignore"):
        copy = np.array(array if kind in "biuf" else 0, dtype=np.int64)
    # What an unsigned integer or a float cannot keep comes back as another value.
    if kind not in "biuf" or (kind in "uf" and not np.array_equal(copy, array)):
        raise ValueError(f"an array of {array.dtype} holds values that are not integers of 64 signed bits")
    copy.setflags(write=False)
    return copy


def _exact_offsets(x: Format, n: int, m: int, shift: int) -> tuple[int, int]:
    """The least and the greatest b for which (sum * m + b + half) >> shift is the mean of n values, for all their sums.

    The sums whose mean rounds to q are q * n - n // 2 to q * n - n // 2 + n - 1, cut off at the format's ends. Each
    bound on b comes from the first or the last of them and is linear in q, and falls, as m is at least 2**shift / n:
    the first two q decide the least b, the last two the greatest.
    """
    one, half = 1 << shift, (1 << shift) >> 1
    first, last = x.minimum, x.maximum
    lows = [first * one - first * n * m]
    highs = [(last + 1) * one - 1 - last * n * m]
    if first < last:
        lows.append((first + 1) * one - ((first + 1) * n - n // 2) * m)
        highs.append(last * one - 1 - (last * n - n // 2 - 1) * m)
    return max(lows) - half, min(highs) - half
