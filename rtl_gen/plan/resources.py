"""What a stage costs on an ECP5: multipliers and block RAMs exactly, LUTs by a fitted estimate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from amaranth.utils import ceil_log2

from qtt_hw.codebook import Codebook
from qtt_hw.ir.nodes import Contraction, Permutation
from rtl_gen.accumulation import ACCUMULATE_LATENCY
from rtl_gen.add import AddSpec
from rtl_gen.fifo import BEHIND_RAM
from rtl_gen.folding import StageSpec
from rtl_gen.memory import uses_block_ram
from rtl_gen.requantizer import stored_bits

__all__ = ["Resources", "block_rams", "fifo_resources", "ring_capacity", "stage_resources", "table_luts"]

#: (width, depth) of one 18-kbit block RAM with a read and a write port.
BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
#: Depth of a LUT RAM cell.
LUT_RAM_DEPTH = 16


@dataclass(frozen=True)
class Resources:
    """MULT18X18D, DP16KD and LUT-like cells (LUT4s, with two for each carry cell)."""

    dsps: int = 0
    brams: int = 0
    luts: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.dsps + other.dsps, self.brams + other.brams, self.luts + other.luts)


def _shape(depth: int, width: int) -> tuple[int, int]:
    """(blocks, words they hold) of the cheapest arrangement of block RAMs."""
    options = [(-(-width // w) * -(-depth // d), -(-depth // d) * d) for w, d in BLOCK_SHAPES]
    least = min(blocks for blocks, _ in options)
    return least, max(words for blocks, words in options if blocks == least)


def block_rams(depth: int, width: int) -> int:
    """Block RAMs of a memory; 0 when it lives in LUTs."""
    return _shape(depth, width)[0] if width and uses_block_ram(depth) else 0


def ring_capacity(least: int, width: int) -> int:
    """Words that a ring of at least `least` can have for the same memory: slack that costs nothing."""
    if uses_block_ram(least):
        return _shape(least, width)[1]
    # Not past the depth at which it would move to block RAM.
    rounded = -(-least // LUT_RAM_DEPTH) * LUT_RAM_DEPTH
    return max(least, min(rounded, 64))


def _lut_ram(depth: int, width: int) -> int:
    return 0 if uses_block_ram(depth) else -(-width // 4) * -(-depth // LUT_RAM_DEPTH) * 4


def _requantizer_rows(spec: StageSpec) -> tuple[int, int]:
    """(depth, width) of the constants of each of the requantiser's lanes: m and b of its channels, or of every row."""
    requant = spec.requant
    if requant is None or requant.multiplier is None:
        return 0, 0
    rows, width = len(requant.multiplier), sum(stored_bits(requant))
    return rows // spec.folding.lanes if isinstance(spec.node, Contraction) else rows, width


def _ringed(spec: StageSpec) -> tuple[int, int]:
    """Block RAMs and LUTs of a ring with what writes and reads it."""
    ring, width = spec.folding.ring, spec.ring_width
    fixed = 300
    if isinstance(spec.node, Permutation):  # walks over one position, and looks up the order of its channels
        fixed = 150 + table_luts(spec.node.order)
    luts = fixed + 14 * spec.walk.pointer_bits + sum(a.out_size for a in spec.geometry.axes)
    return block_rams(ring, width), luts + _lut_ram(ring, width)


@lru_cache(maxsize=64)
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
        found, places = np.unique(pairs, axis=0, return_inverse=True)
        count += int(((found[:, 0] != found[:, 1]) & (found.max(axis=1) > 1)).sum())
        constant = (pairs[:, 0] == pairs[:, 1]) & (pairs[:, 0] < 2)
        names = np.where(constant, pairs[:, 0], places.ravel() + 2).reshape(len(names), -1)
    return count


def _accumulating(spec: StageSpec) -> tuple[int, int]:
    """Block RAMs and LUTs of a memory of open windows with what addresses it and passes it by."""
    depth, width = spec.open_depth, spec.out_width * spec.open_bits
    bypasses = max(0, ACCUMULATE_LATENCY + 1 - spec.geometry.words) if depth else 0
    luts = 175 + sum(a.size for a in spec.geometry.axes) + bypasses * width
    return block_rams(depth, width), luts + _lut_ram(depth, width)


def _lanes(spec: StageSpec) -> int:
    """LUTs of what forms the products of a step: of lanes that shift or multiply, and of decoding codes for the latter.

    Of shift lanes measured by themselves: exact up to 4-bit codes of unsigned inputs, 5 % low at 5 bits.
    """
    assert isinstance(spec.node, Contraction)
    fmt, x, kind = spec.node.weight_format, spec.x.format, spec.folding.multiplier
    luts, index = 0, 0
    if isinstance(fmt, Codebook):
        index = ceil_log2(fmt.magnitudes + int(fmt.zero))
    if kind == "shift":
        # Negation, then one level of selection a bit of the index, each by twice as far.
        negate = 2 * x.bits + 2 + 6 * int(x.signed)
        luts += spec.products * (negate + index * x.bits + (1 << index) - 1)
    elif isinstance(fmt, Codebook):
        luts += spec.folding.pe * spec.folding.simd * (3 * fmt.magnitudes * index // 4)
    if kind == "dsp" and spec.multipliers > spec.products:
        luts += spec.products * (spec.weight_bits + x.bits)  # where the products of a weight's pieces are added
    if kind == "logic":
        narrow, wide = sorted((spec.weight_bits, x.bits))
        luts += spec.products * (wide if narrow == 1 else (narrow - 1) * (wide + 3))
    return luts


def _add_resources(spec: AddSpec) -> Resources:
    """Of a sum: adders, rounding, saturation and the queue."""
    lanes, bits = spec.folding.lanes, spec.sum_bits
    luts = 40 + lanes * (2 * bits + spec.out.format.bits)
    return Resources(luts=luts + _lut_ram(spec.folding.queue, lanes * spec.out.format.bits))


def fifo_resources(depth: int, width: int) -> Resources:
    """Of a FIFO of so many words: its memory, and behind a block RAM the queue that it is read into."""
    counter = ceil_log2(depth + 1)
    if uses_block_ram(depth):
        return Resources(brams=block_rams(depth, width), luts=18 + 12 * counter + _lut_ram(BEHIND_RAM, width))
    selection = width * (-(-depth // LUT_RAM_DEPTH) - 1)
    return Resources(luts=8 * counter + _lut_ram(depth, width) + selection)


def stage_resources(spec: StageSpec | AddSpec) -> Resources:
    """Resources of one stage.

    The LUT estimate counts adders, selections and memories of the generated units bit by bit and was fitted to
    synthesis results; see docs/design.md for how far it is off.
    """
    if isinstance(spec, AddSpec):
        return _add_resources(spec)
    folding, bits = spec.folding, spec.accumulator_bits
    brams, luts = (_accumulating if spec.accumulates else _ringed)(spec)
    brams += block_rams(spec.rom_depth, spec.rom_width)
    luts += _lut_ram(folding.queue, folding.lanes * spec.out.format.bits)
    if isinstance(spec.node, Contraction):
        weight, x = spec.weight_bits, spec.x.format.bits
        product = weight + x
        tree = sum(-(-folding.simd // 2 ** (i + 1)) * (product + i + 1) for i in range(ceil_log2(folding.simd)))
        luts += spec.out_width * (tree + bits + bits // 2)
        luts += _lanes(spec)
        if not uses_block_ram(spec.rom_depth):
            luts += spec.rom_width * -(-spec.rom_depth // LUT_RAM_DEPTH)
    else:
        luts += spec.out_width * bits * 2
    if spec.result_words > 1:
        luts += spec.out_width * bits
    if spec.requant is not None:
        wide = bits + 20 if spec.requant.affine else bits
        contracts = isinstance(spec.node, Contraction)  # an average has a handful of rows and almost no offsets
        luts += folding.lanes * ((3 if contracts else 1) * wide + 2 * spec.out.format.bits)
        depth, width = _requantizer_rows(spec)
        brams += folding.lanes * block_rams(depth, width)
        if contracts and spec.requant.affine and not uses_block_ram(depth):
            luts += folding.lanes * 48 * -(-len(spec.requant.multiplier or ()) // (LUT_RAM_DEPTH * folding.lanes))
    return Resources(spec.dsps, brams, luts)
