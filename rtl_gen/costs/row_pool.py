"""A pool without a ring: places by axis, gathered words, accumulators and the memory of open windows."""

from __future__ import annotations

from functools import lru_cache

from amaranth.utils import bits_for, ceil_log2

from rtl_gen.accumulation import Accumulation, accumulate_latency
from rtl_gen.costs.cells import adder, counter, equals, lookup, ram
from rtl_gen.families import Family, Resources

__all__ = ["row_pool"]


@lru_cache(maxsize=1024)
def _walker(accumulation: Accumulation, rows: bool) -> Resources:
    """A `rtl_gen.row_pool.PlaceWalker`."""
    geometry = accumulation.geometry
    sizes = [*(a.size for a in geometry.axes), geometry.words]
    luts = ffs = 0
    for size in sizes:
        if size > 1:
            bits = ceil_log2(size)
            luts, ffs = luts + counter(bits) + equals(bits) + (bits if size & (size - 1) else 0), ffs + bits
    for places in accumulation.places:
        names = ("inside", "first", "last", "offset", *(["row"] if rows else []))
        more, bits = lookup([tuple(int(getattr(place, name)) for place in places) for name in names])
        luts, ffs = luts + more, ffs + bits
    row = bits_for(len(accumulation.row_counts) - 1) if rows and len(accumulation.row_counts) > 1 else 0
    address = bits_for(max(accumulation.depth - 1, 0)) if accumulation.depth else 0
    ffs += ceil_log2(geometry.words) + 2 * (3 + row) + 3 * address
    luts += 3 + row + adder(address)
    return Resources(luts=luts, ffs=ffs)


@lru_cache(maxsize=4096)
def row_pool(
    accumulation: Accumulation,
    values: int,
    bits: int,
    open_bits: int,
    sums: bool,
    rows: bool,
    read: int,
    result_words: int,
    queue: int,
    family: Family,
) -> Resources:
    """A `rtl_gen.row_pool.RowPool` but for its output.

    Parameters
    ----------
    accumulation : Accumulation
    values, bits : int
        Of a word: how many, and bits of each.
    open_bits : int
        Of an accumulator.
    sums : bool
        Or maxima.
    rows : bool
        Whether an average has several.
    read : int
        Cycles from a word's acceptance to its accumulator.
    result_words, queue : int
        Output words of a result, and those that the queue holds.
    family : Family
    """
    depth, words = accumulation.depth, accumulation.geometry.words
    latency, width, part = accumulate_latency(read), values * open_bits, ceil_log2(values)
    found = _walker(accumulation, rows)
    # A maximum compares by carry cells, whose result chooses; a sum starts again from its first value.
    each = adder(open_bits) + open_bits // 2 if sums else adder(bits) + bits
    found += Resources(luts=values * each, ffs=width + values * bits * read + part)
    # First, completed and the row, as late as the sum.
    row = bits_for(len(accumulation.row_counts) - 1) if rows and len(accumulation.row_counts) > 1 else 0
    found += Resources(ffs=read + latency + row * latency + 1, luts=2 * part + ROW_POOL)
    credits = bits_for(queue)
    wait = ceil_log2(result_words) if result_words > 2 else 0
    found += Resources(luts=adder(credits) + 4 + 2 * wait, ffs=credits + 1 + wait)
    if not depth:
        return found
    address = bits_for(max(depth - 1, 0))
    found += ram(depth, width, family) + Resources(ffs=(address + 1) * (latency + 1))
    distances = range(words, latency + 1)
    found += Resources(
        luts=len(distances) * (width + address),
        ffs=len(distances) * (1 + max(read - 2, 0)) + width * max([d - 1 for d in distances], default=0),
    )
    return found


#: Fitted: what accepts words.
ROW_POOL = 4
