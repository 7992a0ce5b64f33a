"""LUTs of adders, comparisons, multiplexers and constant tables, and all of memories, as yosys makes them of an ECP5.

Four inputs a LUT; a carry cell is two bits of a sum, or one and the carry that a chain begins with, and counts as two
LUTs (`rtl_gen.families.carry_chains`); two LUTs and a PFUMX, which costs nothing, choose between four.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from amaranth.utils import ceil_log2

from rtl_gen.families import Family, Resources

__all__ = [
    "adder",
    "chosen",
    "columns",
    "counter",
    "equals",
    "lookup",
    "paced_ram",
    "ram",
    "rom",
    "table_luts",
    "trailing_zeros",
]

#: Sums up to so many bits are made of LUTs instead of carry cells.
_SHORT = 4


def adder(bits: int) -> int:
    """LUTs of a sum of two values of so many bits."""
    if bits <= 0:
        return 0
    return _chain(bits) if bits > _SHORT else (0, 1, 2, 4, 7)[bits]


def counter(bits: int) -> int:
    """LUTs of a register that counts by one."""
    return _chain(bits) if bits > _SHORT else bits


def _chain(bits: int) -> int:
    """LUTs of whole carry cells for so many bits and what is before the first."""
    return 2 * (bits // 2 + 1)


def equals(bits: int) -> int:
    """LUTs of a comparison with a constant."""
    return -(-(bits - 1) // 3) if bits > 1 else 0


def chosen(bits: int, of: int) -> int:
    """LUTs of so many bits chosen from `of` values."""
    return bits * (-(-of // 2) if of > 2 else of - 1)


def trailing_zeros(value: int) -> int:
    """Low bits of a value that are 0; those of 0 are more than any register has."""
    return (value & -value).bit_length() - 1 if value else 1 << 10


def columns(values: Sequence[int]) -> set[int]:
    """The bits of a table that vary, each as its values over the table's places: equal ones are one register."""
    if not values:
        return set()
    found = set()
    for bit in range(max(values).bit_length()):
        column = sum((value >> bit & 1) << place for place, value in enumerate(values))
        if column and column != (1 << len(values)) - 1:
            found.add(column)
    return found


@lru_cache(maxsize=4096)
def table_luts(table: tuple[int, ...]) -> int:
    """LUTs that look a constant up by its index, so far as yosys shares them: about one to each part of the table.

    Every bit is a tree of multiplexers over functions of the four low bits of the index; parts that are alike are made
    once, and a function of one index bit is that bit. So an order that only exchanges index bits costs nothing.
    """
    size = 1 << max(ceil_log2(len(table)), 4)
    values = np.pad(np.array(table, dtype=np.int64), (0, size - len(table)), mode="edge")
    bits = values >> np.arange(max(int(values.max()).bit_length(), 1))[:, None] & 1
    parts = (bits.reshape(len(bits), -1, 16) << np.arange(16)).sum(axis=2)
    literals = [sum(1 << i for i in range(16) if i >> bit & 1) for bit in range(4)]
    plain = {0, 0xFFFF, *literals, *(v ^ 0xFFFF for v in literals)}
    count = len(set(np.unique(parts).tolist()) - plain)
    names = np.where(parts == 0xFFFF, 1, np.where(parts == 0, 0, parts + 2))  # 0 and 1 are the constants
    while names.shape[1] > 1:
        pairs = np.stack([names[:, ::2].ravel(), names[:, 1::2].ravel()], axis=1)
        distinct, places = np.unique(pairs, axis=0, return_inverse=True)
        count += int(((distinct[:, 0] != distinct[:, 1]) & (distinct.max(axis=1) > 1)).sum())
        constant = (pairs[:, 0] == pairs[:, 1]) & (pairs[:, 0] < 2)
        names = np.where(constant, pairs[:, 0], places.ravel() + 2).reshape(len(names), -1)
    return count


def lookup(tables: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    """(LUTs, flip-flops) of registered tables over the same index."""
    found: set[int] = set()
    for table in tables:
        found |= columns(table)
    if not found:
        return 0, 0
    size = len(tables[0])
    joined = tuple(sum((column >> place & 1) << bit for bit, column in enumerate(found)) for place in range(size))
    return table_luts(joined) if size > 2 else 0, len(found)


def rom(depth: int, width: int, family: Family, latency: int | None = None, words: int | None = None) -> Resources:
    """A `rtl_gen.memory.Rom`.

    Parameters
    ----------
    depth, width : int
        Words, and bits of each.
    family : Family
    latency : int, optional
        More cycles than it needs delay its address.
    words : int, optional
        Distinct words, where fewer than `depth`.
    """
    memory = family.memory
    if depth <= 1 or not width:
        return Resources()
    late = (latency or 0) - memory.read_latency(depth, width)
    delayed = max(late, 0) * ceil_log2(depth)
    if memory.uses_block(depth):
        banks = -(-depth // memory.bank(depth, width))
        ffs = delayed + (width + 2 * ceil_log2(banks) if banks > 1 else 0) + _behind(width, banks, family)
        return Resources(brams=memory.blocks(depth, width), luts=_selection(width, banks), ffs=ffs)
    # Bits that are alike in all words are one: of so many functions of the address the words' are a sample.
    bits = _distinct(width, 1 << min(depth, 62))
    # A function of the four low bits of the address for each part, which up to eight PFUMX and L6MUX21 select.
    functions = bits * max(depth / 16, 1) * (1 if depth <= 128 else 1.25) if depth > 2 else 0
    return Resources(luts=round(functions), ffs=2 * bits + delayed)


def _distinct(drawn: int, of: int) -> int:
    """How many differ, as an expectation, of values that are drawn from so many."""
    return round(-of * math.expm1(drawn * math.log1p(-1 / of)))


def ram(depth: int, width: int, family: Family, latency: int | None = None, early: bool = False) -> Resources:
    """A `rtl_gen.memory.Ram`; arguments as of `rom`, and whether enable and address come a cycle before the data."""
    memory = family.memory
    late = (latency or 0) - memory.read_latency(depth, width)
    banks = -(-depth // memory.bank(depth, width))
    delayed, number = max(late, 0) * ceil_log2(depth), ceil_log2(banks)
    if early:
        delayed += banks + min(ceil_log2(depth), ceil_log2(memory.bank(depth, width)))
    luts = _selection(width, banks) + (banks if banks > 1 else 0)
    if memory.uses_block(depth):
        ffs = delayed + (width + 2 * number if banks > 1 else 0) + _behind(width, banks, family)
        return Resources(brams=memory.blocks(depth, width), luts=luts, ffs=ffs)
    ffs = delayed + width * (banks + 1) + number
    return Resources(luts=luts, ffs=ffs) + memory.shallow(depth, width)


def paced_ram(depth: int, width: int, latency: int, family: Family) -> Resources:
    """A `rtl_gen.memory.PacedRam`, but for its memories of one port."""
    address, late = ceil_log2(depth), latency - 2
    # What is read, what waits and what comes: two choices of an address bit, one of a data bit.
    return Resources(luts=2 * address + width + 2, ffs=2 * address + 2 * width + 2 + late * (address + 1))


def _behind(width: int, banks: int, family: Family) -> int:
    """Registers behind block RAMs that are not the blocks' own."""
    return 0 if family.memory.registered else width * banks


def _selection(width: int, banks: int) -> int:
    """LUTs that select one of so many words: two for four, behind which is a PFUMX."""
    if banks <= 1:
        return 0
    return width * -(-banks // 2)
