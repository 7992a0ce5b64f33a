"""Stream words: integers [words, lanes] packed into little-endian uint32 limbs, lane 0 in the low bits, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["joined", "limbs", "pack", "unpack"]


def joined(integers: Iterable[int], bits: int) -> int:
    """A ROM's word: integers in two's complement of so many bits each, the first in the low bits."""
    return sum((int(value) & ((1 << bits) - 1)) << (place * bits) for place, value in enumerate(integers))


def limbs(bits: int) -> int:
    """Number of 32-bit limbs of a word."""
    return -(-bits // 32)


def pack(integers: NDArray, lanes: int, lane_bits: int) -> NDArray[np.uint32]:
    """Words of consecutive integers, two's complement in their lanes.

    Parameters
    ----------
    integers : integer array, any shape
        Read in raster order, `lanes` to a word.
    lanes, lane_bits : int
        A lane has at most 63 bits.

    Returns
    -------
    uint32 array, [words, limbs]
    """
    if integers.size % lanes:
        raise ValueError(f"{integers.size} integers do not fill words of {lanes} lanes")
    rows = (integers.reshape(-1, lanes).astype(np.int64) & ((1 << lane_bits) - 1)).astype(np.uint64)
    packed = np.zeros((len(rows), limbs(lanes * lane_bits)), dtype=np.uint32)
    for lane in range(lanes):
        first, shift = divmod(lane * lane_bits, 32)
        for limb in range(first, limbs((lane + 1) * lane_bits)):
            offset = (limb - first) * 32 - shift
            value = rows[:, lane] >> np.uint64(offset) if offset >= 0 else rows[:, lane] << np.uint64(-offset)
            packed[:, limb] |= (value & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return packed


def unpack(words: NDArray[np.uint32], lanes: int, lane_bits: int, signed: bool) -> NDArray[np.int64]:
    """The integers of words: the inverse of `pack`.

    Parameters
    ----------
    words : uint32 array, [words, limbs]
    lanes, lane_bits : int
    signed : bool
        Lanes hold two's complement.

    Returns
    -------
    int64 array, [words, lanes]
    """
    integers = np.zeros((len(words), lanes), dtype=np.uint64)
    for lane in range(lanes):
        first, shift = divmod(lane * lane_bits, 32)
        for limb in range(first, limbs((lane + 1) * lane_bits)):
            offset = (limb - first) * 32 - shift
            value = words[:, limb].astype(np.uint64)
            integers[:, lane] |= value << np.uint64(offset) if offset >= 0 else value >> np.uint64(-offset)
    integers &= np.uint64((1 << lane_bits) - 1)
    values = integers.astype(np.int64)
    return values - ((values >> (lane_bits - 1)) << lane_bits) if signed else values
