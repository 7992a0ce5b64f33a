"""Stages that read one stream through a window: what all their kinds share, and those whose inputs stand in a ring."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring

from qtt_hw.fixedpoint import IntArray, Requantizer, bits_for_range
from qtt_hw.graph import Edge
from qtt_hw.window import Window
from rtl_gen.costs.arithmetic import requantizer
from rtl_gen.costs.cells import paced_ram, ram
from rtl_gen.costs.control import gate, ring_writer, sequencer, walker
from rtl_gen.costs.streams import output_queue, serializer
from rtl_gen.families import Resources
from rtl_gen.geometry import Geometry
from rtl_gen.kinds.spec import SPARE_WORDS, Spec, Store
from rtl_gen.loop_nest import GroupLevel, LoopShape
from rtl_gen.requantizer import latency_of, multipliers_of, stored_bits
from rtl_gen.ring_unit import RingUnit
from rtl_gen.sequencer import ADDRESS_LATENCY, Sequencer
from rtl_gen.walker import WalkerShape

__all__ = ["RingSpec", "WindowSpec"]

#: Its tables are shared by the foldings of a width.
geometry_of = Geometry.of


class WindowSpec(Spec):
    """A stage with one input: results of `out_width` values leave by serialiser, requantiser and queue.

    Attributes
    ----------
    by_channel : bool
        The requantiser's rows are the output's channels; otherwise they are an average's numbers of taps.
    """

    gathers = True
    by_channel = False

    @property
    def x(self) -> Edge:
        """What it reads."""
        return self.inputs[0]

    @property
    def window(self) -> Window:
        return Window()

    @cached_property
    def geometry(self) -> Geometry:
        return geometry_of(self.window, self.x.shape, self.in_width)

    # Words

    @property
    def in_width(self) -> int:
        return self.folding.simd

    @property
    def in_words(self) -> int:
        return self.geometry.volume_words

    @property
    def out_width(self) -> int:
        """Values in a result."""
        return self.folding.pe

    @property
    def groups(self) -> int:
        """Results per position."""
        return self.out.channels // self.out_width

    @property
    def result_words(self) -> int:
        return self.out_width // self.folding.lanes

    # Checks

    def check(self) -> None:
        for what, value, total in (*self.totals(), ("lanes", self.folding.lanes, self.out_width)):
            if value < 1 or total % value:
                raise self.refuse(f"{what} {value} does not divide {total}")
        self.check_lanes()
        self.check_memory()
        if self.folding.queue < self.result_words:
            raise self.refuse(f"a queue of {self.folding.queue} words cannot hold one result")

    @abstractmethod
    def totals(self) -> tuple[tuple[str, int, int], ...]:
        """Choices by name, and what each must divide."""

    def channel_totals(self) -> tuple[tuple[str, int, int], ...]:
        """The `totals` of a stage that has as many outputs as inputs and no weights."""
        folding = self.folding
        made = self.out.channels
        return ("simd", folding.simd, self.x.channels), ("pe", folding.pe, made), ("carry", folding.carry, 1)

    @abstractmethod
    def check_lanes(self) -> None:
        """Raise ValueError where lanes cannot be built so."""

    @abstractmethod
    def check_memory(self) -> None:
        """Raise ValueError where the buffer is too small."""

    def deepest(self) -> dict[str, int]:
        geometry = self.geometry
        # A ring holds a window, what its stride passes over, and what of the next inference comes early.
        passed = max(min(a.stride, a.size) * words for a, words in zip(geometry.axes, geometry.strides, strict=True))
        return {
            "ring": 2 * geometry.volume_words + passed + self.family.memory.deepest_block,
            "queue": 2 * (self.latency + 2 + self.result_words) + SPARE_WORDS,
        }

    # Numbers

    @property
    @abstractmethod
    def accumulator(self) -> tuple[int, int]:
        """Range of a result's values."""

    @property
    def accumulator_bits(self) -> int:
        return bits_for_range(*self.accumulator)

    @property
    def requant(self) -> Requantizer | None:
        """The requantiser, where the kind has one."""
        return None

    @property
    def _requant_latency(self) -> int:
        """Cycles from a result to its first word, by serialiser and requantiser."""
        serial = 0 if self.result_words == 1 else 1
        if self.requant is None:
            return serial
        return serial + latency_of(self.requant, *self.accumulator, self._rows, self.family)

    @property
    def _rows(self) -> int:
        """Rows of an affine requantiser that each of its lanes keeps."""
        rows = len(self.requant.multiplier or ()) if self.requant is not None else 0
        return rows // self.folding.lanes if self.by_channel else rows

    # Cost

    @property
    def requant_dsps(self) -> int:
        """Multipliers of the requantiser."""
        if self.requant is None:
            return 0
        return multipliers_of(self.requant, *self.accumulator, self.family) * self.folding.lanes

    def stores(self) -> tuple[Store, ...]:
        if self.requant is None or not self.requant.affine or self._rows < 2:
            return super().stores()
        rows = Store("scales and offsets", self._rows, sum(stored_bits(self.requant)), self.folding.lanes)
        return rows, *super().stores()

    def output_parts(self) -> dict[str, Resources]:
        """Costs of serialiser, requantiser and queue."""
        folding, out, requant = self.folding, self.out.format.bits, self.requant
        bits = self.accumulator_bits if requant is not None else self.x.format.bits
        found = {
            "output.serializer": serializer(bits, self.out_width, folding.lanes),
            "output.queue": output_queue(folding.lanes * out, folding.queue, self.family),
        }
        if requant is not None:
            words = self.out.channels // folding.lanes
            found["output.requantizer"] = requantizer(
                requant, *self.accumulator, folding.lanes, words, self.by_channel, self.family
            )
        return found


class RingSpec(WindowSpec):
    """A stage whose inputs stand in a ring, from which a sequencer reads the window of each position step by step."""

    rings = True

    def deepest(self) -> dict[str, int]:
        found, single = super().deepest(), self.family.memory.single_port
        if self.folding.ports == 1 and single is not None:
            found["ring"] = min(found["ring"], single.depth)
        return found

    def check_memory(self) -> None:
        folding = self.folding
        if folding.ring < self.geometry.least_ring:
            raise self.refuse(f"a ring of {folding.ring} words is too small, {self.geometry.least_ring} are needed")
        if folding.ports == 1:
            single = self.family.memory.single_port
            if single is None:
                raise self.refuse(f"{self.family.title} has no memories of one port")
            if not single.holds(folding.ring, self.ring_width):
                raise self.refuse(
                    f"a ring of {folding.ring} words of {self.ring_width} bits; {single.depth} of "
                    f"{single.width * single.count} are the most in memories of one port"
                )
        least = self.geometry.least_taps * self.inner
        if least < self.result_words:
            raise self.refuse(
                f"{self.result_words} output words per result of {least} steps; "
                f"more lanes than {folding.lanes} are needed"
            )

    @property
    def inner(self) -> int:
        """Steps per valid tap of a result."""
        return 1

    @cached_property
    def steps(self) -> IntArray:
        """Steps of one result, per output position."""
        return self.geometry.taps * self.inner

    @property
    def cycles(self) -> int:
        return self.geometry.total_taps * self.inner * self.groups * self.pace

    @property
    def pace(self) -> int:
        """Cycles of a step."""
        return 3 - self.folding.ports

    # The loop nest

    @property
    def merged(self) -> bool:
        """Whether a tap's input words belong to the run along W; they do not where they are unevenly spaced."""
        return True

    @cached_property
    def walk(self) -> WalkerShape:
        return WalkerShape(self.geometry, self.folding.ring, self.inner, self.merged)

    def levels(self) -> list[GroupLevel]:
        """The loops over a position's results, fastest first."""
        return [GroupLevel(self.groups, 1, 0)]

    @property
    def inner_stride(self) -> int:
        """Ring words from one inner step to the next."""
        return self.geometry.tap_strides[2]

    @property
    def order(self) -> tuple[int, ...]:
        """Ring words to each result's inputs, where no constant stride says it."""
        return ()

    #: ROM words (out group, kd, kh, kw, input word), and bits of each.
    rom_depth: int = 0
    rom_width: int = 0

    @cached_property
    def loop(self) -> LoopShape:
        return LoopShape(
            walk=self.walk,
            inner_stride=self.inner_stride,
            groups=tuple(level for level in self.levels() if level.count > 1),
            order=self.order,
            rom_depth=self.rom_depth,
            result_words=self.result_words,
            credits=self.folding.queue,
            pace=self.pace,
        )

    # Time

    @cached_property
    def read_latency(self) -> int:
        """Cycles from the addresses of a step to its words: those of the slower of ring and ROM."""
        memory = self.family.memory
        ring = 2 if self.pace == 2 else memory.read_latency(self.folding.ring, self.ring_width)
        return max(ring, memory.read_latency(self.rom_depth, self.rom_width)) if self.rom_depth else ring

    @property
    def reduce_latency(self) -> int:
        """Cycles from a step's words to its result, where it is the last."""
        return 1

    @property
    def latency(self) -> int:
        """Cycles from the issue of a result's last step to the push of its first word."""
        return ADDRESS_LATENCY + self.read_latency + self.reduce_latency + self._requant_latency

    # Cost

    @property
    def dsps(self) -> int:  # type: ignore[override]
        return self.requant_dsps

    @property
    def ring_width(self) -> int:
        return self.in_width * self.x.format.bits

    def stores(self) -> tuple[Store, ...]:
        ring = Store("ring of inputs", self.folding.ring, self.ring_width, single=self.pace == 2)
        weights = (Store("weights", self.rom_depth, self.rom_width),) if self.rom_depth > 1 else ()
        return ring, *weights, *super().stores()

    @abstractmethod
    def reducer_parts(self) -> dict[str, Resources]:
        """Costs of what takes the words of a step, and of its memory."""

    def parts(self) -> dict[str, Resources]:
        ring, width, walk, latency = self.folding.ring, self.ring_width, self.walk, self.read_latency
        rows = self.requant is not None and not self.by_channel and self.requant.affine
        return {
            # The words of the stage before are not known here: mostly single values.
            "ring": ring_writer(width, self.in_width, ring, walk.pointer_bits),
            "buffer": (
                ram(ring, width, self.family, latency, early=True)
                if self.pace == 1
                else paced_ram(ring, width, latency, self.family)
            ),
            "sequencer": sequencer(self.loop, latency, rows, ADDRESS_LATENCY),
            "sequencer.gate": gate(walk, rows),
            "sequencer.gate.walker": walker(walk, rows),
            **self.reducer_parts(),
            **self.output_parts(),
        }

    # Hardware

    @abstractmethod
    def reducer(self, m: Module, sequencer: Sequencer) -> wiring.Component:
        """What takes the words of a step, with ports as `rtl_gen.reduce`'s; what else it needs is added to `m`."""

    def unit(self, in_lanes: int) -> wiring.Component:
        return RingUnit(self, in_lanes)

    def recurrence(self, units: Any, inputs: Sequence[int], output: int, in_lanes: int) -> None:
        tables = self.geometry.needs, self.geometry.releases, self.steps
        units.add_stage(
            *(inputs[0], output, self.in_width // in_lanes, self.folding.ring, self.geometry.volume_words, self.groups),
            *(self.result_words, self.folding.queue, self.latency, self.pace, len(tables[0]), *tables),
        )
