"""Permutations of channels: a maximum over one position whose results take the channels in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from amaranth.hdl import Module
from amaranth.lib import wiring

from qtt_hw.graph import Edge, Permutation
from rtl_gen.costs.arithmetic import pool_reducer
from rtl_gen.costs.cells import table_luts
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.choices import StageChoices, Widths
from rtl_gen.kinds.spec import Folding, Kind
from rtl_gen.kinds.windowed import RingSpec
from rtl_gen.loop_nest import GroupLevel
from rtl_gen.reduce import PoolReducer, shape_of
from rtl_gen.sequencer import Sequencer

__all__ = ["PERMUTATION", "PermutationSpec"]


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

    @property
    def accumulator(self) -> tuple[int, int]:
        return self.x.format.minimum, self.x.format.maximum

    def levels(self) -> list[GroupLevel]:
        return [GroupLevel(self.groups, 0, 0)]

    @property
    def order(self) -> tuple[int, ...]:
        return self.node.order

    def reducer_parts(self) -> dict[str, Resources]:
        return {"reducer": pool_reducer(self.x.format, 1, self.x.format.bits, False)}

    def parts(self) -> dict[str, Resources]:
        found = super().parts()
        return found | {"sequencer": found["sequencer"] + Resources(luts=table_luts(self.node.order))}

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
