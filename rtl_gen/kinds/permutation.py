"""Permutations of channels: a maximum over one position whose results take the channels in another order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.utils import ceil_log2

from qtt_hw.graph import Edge, Permutation
from rtl_gen.families import Family
from rtl_gen.kinds.choices import StageChoices, Widths
from rtl_gen.kinds.spec import Folding, Kind
from rtl_gen.kinds.windowed import RingSpec
from rtl_gen.loop_nest import GroupLevel
from rtl_gen.reduce import PoolReducer, shape_of
from rtl_gen.sequencer import Sequencer

__all__ = ["PERMUTATION", "PermutationSpec", "table_luts"]


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
        distinct, places = np.unique(pairs, axis=0, return_inverse=True)
        count += int(((distinct[:, 0] != distinct[:, 1]) & (distinct.max(axis=1) > 1)).sum())
        constant = (pairs[:, 0] == pairs[:, 1]) & (pairs[:, 0] < 2)
        names = np.where(constant, pairs[:, 0], places.ravel() + 2).reshape(len(names), -1)
    return count


class PermutationSpec(RingSpec):
    """A permutation, one channel a cycle."""

    node: Permutation

    def totals(self) -> tuple[tuple[str, int, int], ...]:
        return self.channel_totals()

    def check_lanes(self) -> None:
        folding = self.folding
        if folding.pe != folding.simd:
            raise self.refuse(f"a permutation's pe {folding.pe} must equal its simd {folding.simd}")
        if folding.simd != 1:
            raise self.refuse(f"a permutation moves one channel a cycle, not {folding.simd}")
        if folding.multiplier == "shift":
            raise self.refuse("lanes that shift need weights of a codebook")

    @property
    def accumulator(self) -> tuple[int, int]:
        return self.x.format.minimum, self.x.format.maximum

    def levels(self) -> list[GroupLevel]:
        return [GroupLevel(self.groups, 0, 0)]

    @property
    def order(self) -> tuple[int, ...]:
        return self.node.order

    @property
    def control_luts(self) -> int:
        return 150 + table_luts(self.node.order)  # it walks over one position, and looks up the order of its channels

    def reducer(self, m: Module, sequencer: Sequencer) -> wiring.Component:
        return PoolReducer(self.x.format, lanes=1, kind="max", accumulator=shape_of(self.x.format))


class PermutationChoices(StageChoices):
    """One channel a word."""

    def word_widths(self) -> list[int]:
        return [1]

    def serial_cycles(self) -> int:
        return self.x.positions * self.x.channels

    def shapes(self, width: int) -> Widths:
        return Widths(1, 1, [1], 1)

    def spec(self, folding: Folding) -> PermutationSpec:
        return PermutationSpec(cast(Permutation, self.node), (self.x,), folding, self.family)


def _choices(node: Permutation, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> PermutationChoices:
    return PermutationChoices(node, inputs[0], streams[0], family)


PERMUTATION = Kind(PermutationSpec, _choices)
