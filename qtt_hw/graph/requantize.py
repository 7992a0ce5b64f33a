"""Requantisation of sums that are held as floats: in float arithmetic where all of it is exact, else in int64.

`qtt_hw.fixedpoint.Requantizer` is the definition. What is here computes the same integers several times as fast, since
sums come from matrix products as floats, and leave as what the next stage reads.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import Requantizer

__all__ = ["EXACT", "FloatRequantizer", "float_type", "integer_type", "requantized", "shifted_type"]

#: Up to where a float type holds every integer.
EXACT = {np.float32: 1 << 24, np.float64: 1 << 53}
#: Values that an inner loop of numpy's should have at least: rows of few channels are taken several at a time.
LOOP = 2048


def float_type(*values: int) -> type[np.float32] | type[np.float64] | None:
    """The narrower float type that holds every integer as far from 0 as the furthest of these; None where neither."""
    most = max(abs(value) for value in values)
    if most <= EXACT[np.float32]:
        return np.float32
    return np.float64 if most <= EXACT[np.float64] else None


def integer_type(*values: int) -> type[np.int32] | type[np.int64]:
    """The narrower of two integer types that holds all of these."""
    ends = np.iinfo(np.int32)
    return np.int32 if ends.min <= min(values) and max(values) <= ends.max else np.int64


def shifted_type(requant: Requantizer, low: int, high: int) -> type[np.int32] | type[np.int64]:
    """What a requantiser without a multiplier computes integers from low to high in, by `requantized`."""
    return integer_type(low, high, *requant.product_range(low, high))


def requantized(requant: Requantizer, sums: NDArray) -> NDArray:
    """What a requantiser without a multiplier makes of integers of its `shifted_type`, which are overwritten."""
    shift, fmt = requant.shift, requant.out
    if shift > 0:
        sums += 1 << (shift - 1)
        sums >>= shift
    else:
        sums <<= -shift
    return np.clip(sums, fmt.minimum, fmt.maximum, out=sums)


class FloatRequantizer:
    """A requantiser of the integers in [low, high], held as float32 or float64.

    acc * (m * 2**-s) + (b + 2**(s-1)) * 2**-s is floored and clamped, in the narrower float type that holds the
    integers acc * m, b + 2**(s-1) and their sum; a power of two as a factor changes no digit.

    Parameters
    ----------
    requant : Requantizer
        Its rows, if any, are the last axis.
    low, high : int
        Ends of the sums, 0 among them.
    """

    def __init__(self, requant: Requantizer, low: int, high: int) -> None:
        self._requant = requant
        shift = requant.shift
        half = 1 << (shift - 1) if shift > 0 else 0
        m, b = requant.multiplier or (1,), requant.offset or (0,)
        products = [end * factor for factor in m for end in (low, high)]
        offsets = [offset + half for offset in b]
        #: What it is computed in; None is int64.
        self.dtype = float_type(low, high, *m, *products, *offsets, *requant.product_range(low, high))
        kind = self.dtype or np.float64
        #: By row, or one for all.
        self._factors, self._offsets = np.ldexp(np.array(m, kind), -shift), np.ldexp(np.array(offsets, kind), -shift)
        self._moved = any(offsets)
        self._tiles: dict[int, tuple[NDArray, NDArray]] = {}

    def work(self, values: int) -> NDArray:
        """What a call needs beside that many sums, or more than it has."""
        return np.empty(values, self.dtype or np.float64)

    def __call__(self, sums: NDArray, out: NDArray, work: NDArray) -> None:
        """Requantise into integers.

        Parameters
        ----------
        sums : float array, [rows, channels]
            In C order.
        out : integer array
            Of as many values in the same order, in any shape.
        work : array
            Of `work`; its values are overwritten.
        """
        if self.dtype is None:
            out[...] = self._requant(sums.astype(np.int64)).reshape(out.shape)
            return
        rows, channels = sums.shape
        found = work[: sums.size]
        if self._requant.affine:
            several = math.gcd(rows, max(LOOP // channels, 1))
            factors, offsets = self._repeated(several)
            sums, found = (values.reshape(rows // several, several * channels) for values in (sums, found))
        else:
            factors, offsets = self._factors, self._offsets
            sums = sums.reshape(-1)
        np.multiply(sums, factors, out=found)
        if self._moved:
            np.add(found, offsets, out=found)
        np.floor(found, out=found)
        fmt = self._requant.out
        np.clip(found, fmt.minimum, fmt.maximum, out=found)
        np.copyto(out, found.reshape(out.shape), casting="unsafe")

    def _repeated(self, several: int) -> tuple[NDArray, NDArray]:
        """Factors and offsets of so many rows."""
        if several not in self._tiles:
            self._tiles[several] = np.tile(self._factors, several), np.tile(self._offsets, several)
        return self._tiles[several]
