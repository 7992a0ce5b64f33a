"""Pools: the maximum or the mean of a window, from a ring of inputs or by accumulating windows that do not overlap."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from amaranth.hdl import Module, signed
from amaranth.lib import wiring

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Requantizer, average_requantizer
from qtt_hw.graph import Edge, Pool
from qtt_hw.window import Window
from rtl_gen.accumulation import Accumulation, accumulate_latency, are_disjoint
from rtl_gen.costs.arithmetic import pool_reducer
from rtl_gen.costs.row_pool import row_pool
from rtl_gen.families import Family, Resources
from rtl_gen.geometry import Geometry
from rtl_gen.kinds.choices import Choice, Lanes, StageChoices, Widths, divisors
from rtl_gen.kinds.spec import Folding, Kind, Store
from rtl_gen.kinds.windowed import RingSpec, WindowSpec, geometry_of
from rtl_gen.reduce import PoolReducer, shape_of
from rtl_gen.row_pool import RowPool
from rtl_gen.sequencer import Sequencer

__all__ = ["POOL", "PoolSpec", "RowPoolSpec"]


class _PoolSpec(WindowSpec):
    """What both forms share."""

    node: Pool

    @property
    def window(self) -> Window:
        return self.node.window

    @property
    def averages(self) -> bool:
        return self.node.kind == "average"

    def totals(self) -> tuple[tuple[str, int, int], ...]:
        return self.channel_totals()

    def check_lanes(self) -> None:
        folding = self.folding
        if folding.pe != folding.simd:
            raise self.refuse(f"a pool's pe {folding.pe} must equal its simd {folding.simd}")

    @cached_property
    def accumulator(self) -> tuple[int, int]:  # type: ignore[override]
        fmt = self.x.format
        if self.averages:
            most = self.window.taps
            return min(fmt.minimum * most, 0), fmt.maximum * most
        return fmt.minimum, fmt.maximum

    @abstractmethod
    def row_counts(self) -> Sequence[int]:
        """Valid taps of each row of an average."""

    def divisors(self) -> tuple[int, ...]:
        """What each row's sums are divided by."""
        return tuple(self.window.taps if self.node.counts_padding else count for count in self.row_counts())

    @cached_property
    def requant(self) -> Requantizer | None:  # type: ignore[override]
        if not self.averages:
            return None
        with named(f"stage {self.node.name}"):
            return average_requantizer(self.x.format, self.divisors())


class PoolSpec(_PoolSpec, RingSpec):
    """A pool whose inputs stand in a ring."""

    def row_counts(self) -> Sequence[int]:
        return self.walk.row_counts

    def reducer_parts(self) -> dict[str, Resources]:
        bits = self.accumulator_bits if self.averages else self.x.format.bits
        return {"reducer": pool_reducer(self.x.format, self.folding.simd, bits, self.averages)}

    def reducer(self, m: Module, sequencer: Sequencer) -> wiring.Component:
        return PoolReducer(
            self.x.format,
            lanes=self.folding.simd,
            kind="sum" if self.averages else "max",
            accumulator=signed(self.accumulator_bits) if self.averages else shape_of(self.x.format),
        )


class RowPoolSpec(_PoolSpec):
    """A pool without a ring: each word adds to its window's accumulator."""

    def check_memory(self) -> None:
        try:
            self.accumulation  # noqa: B018 - built here, so that a stage that exists has one
        except ValueError as error:
            needed = self.geometry.least_ring
            raise self.refuse(f"without a ring, {error}; a ring of {needed} words is needed") from None

    @cached_property
    def accumulation(self) -> Accumulation:
        return Accumulation(self.geometry)

    def row_counts(self) -> Sequence[int]:
        return self.accumulation.row_counts

    @property
    def cycles(self) -> int:
        return self.accumulation.cycles(self.result_words)

    @property
    def latency(self) -> int:
        """Cycles from the acceptance of a result's last word to the push of its first output word."""
        return accumulate_latency(self.read_latency) + self._requant_latency

    @cached_property
    def read_latency(self) -> int:
        """Cycles from a word's acceptance to the accumulator that it meets."""
        return self.family.memory.read_latency(self.open_depth, self.out_width * self.open_bits)

    @property
    def dsps(self) -> int:  # type: ignore[override]
        return self.requant_dsps

    @property
    def open_depth(self) -> int:
        """Words of `out_width` accumulators in the memory of open windows; 0 without one."""
        return self.accumulation.depth

    @property
    def open_bits(self) -> int:
        """Bits of an accumulator in that memory: no sign where no input has one."""
        if self.requant is None:
            return self.x.format.bits
        return self.accumulator_bits - (not self.x.format.signed)

    def stores(self) -> tuple[Store, ...]:
        if not self.open_depth:
            return super().stores()
        return Store("open windows", self.open_depth, self.out_width * self.open_bits), *super().stores()

    def parts(self) -> dict[str, Resources]:
        sums = self.requant is not None
        rows = self.requant is not None and self.requant.affine
        pool = row_pool(
            *(self.accumulation, self.out_width, self.x.format.bits, self.open_bits, sums, rows),
            *(self.read_latency, self.result_words, self.folding.queue, self.family),
        )
        return {"": pool, **self.output_parts()}

    def unit(self, in_lanes: int) -> wiring.Component:
        return RowPool(self, in_lanes)

    def recurrence(self, units: Any, inputs: Sequence[int], output: int, in_lanes: int) -> None:
        needs = self.geometry.needs
        units.add_row_pool(
            *(inputs[0], output, self.in_width // in_lanes, self.geometry.volume_words, self.groups),
            *(self.result_words, self.folding.queue, self.latency, len(needs), needs),
        )


def _spec(node: Pool, inputs: Sequence[Edge], folding: Folding, family: Family) -> PoolSpec | RowPoolSpec:
    return (PoolSpec if folding.ring else RowPoolSpec)(node, inputs, folding, family)


class PoolChoices(StageChoices):
    """Words of any divisor of the channels; windows that do not overlap also without a ring, on any lanes."""

    node: Pool

    def word_widths(self) -> list[int]:
        return divisors(self.x.channels)

    def serial_cycles(self) -> int:
        return Geometry.of(self.node.window, self.x.shape, 1).total_taps * self.x.channels

    def shapes(self, width: int) -> Widths:
        return Widths(width, 1, [width], 1)

    def spec(self, folding: Folding) -> PoolSpec | RowPoolSpec:
        return _spec(self.node, (self.x,), folding, self.family)

    def more(self, width: int, behind: Lanes) -> Iterator[tuple[tuple[int, int, int, int], Iterator[Choice]]]:
        if not are_disjoint(self.node.window.axes(self.x.shape)):
            return
        for lanes in divisors(width):
            if lanes in behind:
                yield (width, width, lanes, 0), self._accumulating(width, lanes)

    def _accumulating(self, width: int, lanes: int) -> Iterator[Choice]:
        draft = Folding(simd=width, pe=width, lanes=lanes, ring=0, queue=1 << 20)
        spec = self.spec(draft)
        # In the rows that complete results, every stride-th word along W takes a result's output words.
        pace = 1 + (spec.result_words - 1) / spec.geometry.axes[2].stride
        yield self.choice(draft, spec, max(1.0, pace * spec.in_words / spec.cycles))


def _choices(node: Pool, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> PoolChoices:
    return PoolChoices(node, inputs[0], streams[0], family)


POOL = Kind(_spec, _choices, lambda node, x: int(geometry_of(node.window, x.shape, x.channels).needs[0]) - 1)
