"""An engine as hardware: what generator, planner and event model read of stages that share one array."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.lib import wiring
from amaranth.utils import bits_for, ceil_log2

from qtt_hw.fixedpoint import IntArray
from rtl_gen.engine.bound import fields_of
from rtl_gen.engine.code import Code, Written, issue_code, unread_words, write_code
from rtl_gen.engine.contents import requantizer_rows, weight_words
from rtl_gen.engine.folding import EngineFolding, engine_name
from rtl_gen.engine.issuer import ADDRESS_LATENCY
from rtl_gen.engine.jobs import Work, work_of
from rtl_gen.engine.layout import Layout
from rtl_gen.engine.numbers import numbers_of
from rtl_gen.engine.reader import LEAST_CYCLES
from rtl_gen.engine.resources import parts_of, stores_of
from rtl_gen.engine.schedule import OUTSIDE, Program, Read, schedule
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.summation import LATENCY as SUM_LATENCY
from rtl_gen.engine.unit import EngineUnit
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.spec import SPARE_WORDS, Spec, Store, Tap
from rtl_gen.multiplier import BLOCK_KINDS, latency_of, multipliers_of

__all__ = ["EngineSpec", "works_of"]


class EngineSpec(Spec):
    """Plain contractions, and sums behind them, on one array.

    Parameters
    ----------
    segment : Segment
    folding : EngineFolding
    family : Family
    """

    gathers = True
    weighs = True
    folding: EngineFolding  # type: ignore[assignment]

    def __init__(self, segment: Segment, folding: EngineFolding, family: Family):
        self.segment, self.nodes, self.edges = segment, segment.nodes, segment.edges
        self.node, self.inputs, self.family = segment.last, (self.edges[0],), family
        self.folding, self.out, self.numbers = folding, segment.made, numbers_of(segment, family)
        self.check()

    # Checks

    def check(self) -> None:
        folding = self.folding
        if self.coded and folding.multiplier in ("packed", "dual"):
            raise self.refuse("weights of a codebook are shifted or multiplied one by one, not two a multiplier")
        if not self.coded and folding.multiplier == "shift":
            raise self.refuse("lanes that shift need weights of a codebook")
        for what, whole in (("simd", folding.simd), ("pe", folding.pe)):
            if whole < 1 or folding.lanes < 1 or whole % folding.lanes:
                raise self.refuse(f"lanes {folding.lanes} does not divide {what} {whole}")
        if len(folding.rows) != len(self.nodes):
            raise self.refuse(
                f"{len(folding.rows)} rings are given, each of its {len(self.nodes)} contractions has one"
            )
        first, channels = self.works[0], self.edges[0].channels
        begin = f"stage {self.names[0]}"
        if channels % folding.simd:
            raise ValueError(f"{begin}: simd {folding.simd} does not divide the input's {channels} channels")
        for work, reads in zip(self.works, self.reads, strict=True):
            rows = reads[0].rows
            if rows < work.least_rows:
                raise ValueError(f"stage {work.node.name}: a ring of {rows} rows, {work.least_rows} are the least")
            if rows > work.rows:
                raise ValueError(f"stage {work.node.name}: a ring of {rows} rows, its input has {work.rows}")
            for read in reads[1:]:
                most = work.geometry.out_shape[0] * work.geometry.out_shape[1]
                if not 1 <= read.rows <= most:
                    raise ValueError(
                        f"stage {work.node.name}: a ring of {read.rows} rows of what it adds, which has {most}"
                    )
        if first.rows % folding.rows[0]:
            raise ValueError(f"{begin}: a ring of {folding.rows[0]} rows does not divide the input's {first.rows}")
        if self.out.channels % folding.lanes:
            raise self.refuse(f"lanes {folding.lanes} does not divide the output's {self.out.channels} channels")
        short = next((work.node.name for work in self.works if work.least_cycles < LEAST_CYCLES), None)
        if short is not None:
            raise ValueError(f"stage {short}: a row of it takes less than {LEAST_CYCLES} steps, so few lanes do")
        least = min(work.least_steps for work in self.works)
        if folding.pe // folding.lanes > least:
            words = folding.pe // folding.lanes
            raise self.refuse(f"{words} words of a result in {least} steps; more lanes are needed")
        if folding.queue < self.credit:
            raise self.refuse(f"a queue of {folding.queue} words cannot hold a job's {self.credit}")
        if folding.multiplier == "packed" and (folding.pe % 2 or self.numbers.packing is None):
            raise self.refuse("two products a multiplier need an even pe, and narrow weights and inputs")
        if folding.multiplier == "dual" and not self.numbers.share_blocks:
            raise self.refuse(f"the multipliers of {self.family.title} are not two of these weights and inputs")

    def deepest(self) -> dict[str, int]:
        return {"queue": 2 * self.credit + SPARE_WORDS}

    @property
    def credit(self) -> int:
        """Output words of a job, the most."""
        return self.works[-1].most_positions * self.out.channels // self.folding.lanes

    @property
    def names(self) -> tuple[str, ...]:
        """Of its stages, sums among them."""
        return self.segment.names

    @property
    def unit_name(self) -> tuple[str, ...]:
        return self.names

    @property
    def name(self) -> str:
        return engine_name(self.names)

    @cached_property
    def tapped(self) -> tuple[tuple[int, bool], ...]:
        """By the number of a tap: whose stage makes it, and whether it is that one's sum."""
        found = {stage.node.name: (number, False) for number, stage in enumerate(self.segment.stages)}
        sums = ((number, stage.sum) for number, stage in enumerate(self.segment.stages))
        found.update({one.node.name: (number, True) for number, one in sums if one is not None})
        return tuple(found[name] for name in self.names)

    @property
    def taps(self) -> tuple[Tap, ...]:
        lanes, found = self.folding.lanes, []
        for name, (number, sums) in zip(self.names, self.tapped, strict=True):
            work, shape = self.works[number], self.numbers.result_shape if sums else self.numbers.scaling.shape
            count = work.geometry.out_positions * -(-work.node.out_size // lanes)
            found.append(Tap(name, lanes, shape.width, shape.signed, count))
        return tuple(found)

    @property
    def macs(self) -> int:
        return sum(node.macs(x) for node, x in zip(self.nodes, self.edges, strict=True))

    # Work

    @cached_property
    def works(self) -> tuple[Work, ...]:
        return works_of(self.segment, self.folding.simd, self.folding.pe)

    @cached_property
    def reads(self) -> list[list[Read]]:
        return self.segment.reads(self.folding.rows)

    @cached_property
    def program(self) -> Program:
        return schedule(self.works, self.reads, self.drain + 1)

    @cached_property
    def layout(self) -> Layout:
        folding, added = self.folding, (one.source for _, one in self.segment.sums)
        summands = frozenset(source for source in added if source != OUTSIDE)
        return Layout.of(self.works, folding.rows, folding.pe, folding.lanes, summands)

    # Words

    @property
    def in_width(self) -> int:
        return self.folding.simd

    @property
    def in_words(self) -> int:
        return self.works[0].geometry.volume_words * self.works[0].words

    @property
    def ring(self) -> int:
        """Words of the stream's ring."""
        return self.layout.rings[0].size

    @property
    def slices(self) -> int:
        """Requantised words of a memory word."""
        return self.folding.simd // self.folding.lanes

    @property
    def summand_words(self) -> int:
        """Requantised words of the memory that sums read from."""
        return self.layout.summed << ceil_log2(self.slices)

    @property
    def position_words(self) -> int:
        """Output words of a position."""
        return self.out.channels // self.folding.lanes

    # Numbers

    @property
    def coded(self) -> bool:  # type: ignore[override]
        return self.numbers.coded

    @property
    def weight_word_bits(self) -> int:
        """Of a word of the ROM."""
        return self.folding.pe * self.folding.simd * self.numbers.weight_format.bits

    @cached_property
    def requantizer_rows(self) -> list[list[tuple[int, int]]]:
        """m and b of the requantiser's lanes, stage by stage; 0 where results are padded."""
        return requantizer_rows(self)

    @cached_property
    def weight_words(self) -> list[int]:
        """Contents of the ROM."""
        return weight_words(self)

    # Time

    @cached_property
    def read_latency(self) -> int:
        """Cycles from the addresses of a step to its words, the slowest memory's."""
        memory, folding = self.family.memory, self.folding
        return max(
            memory.read_latency(self.ring, folding.simd * self.edges[0].format.bits),
            memory.read_latency(max(self.layout.depth, 1), folding.lanes * self.numbers.inner_bits),
            memory.read_latency(self.layout.weights[-1], self.weight_word_bits),
        )

    @cached_property
    def array_latency(self) -> int:
        narrow = min(self.numbers.weight_bits, self.numbers.x_format.bits)
        return latency_of(self.folding.multiplier, self.family, narrow) + ceil_log2(self.folding.simd) + 1

    @property
    def result_words(self) -> int:
        return self.folding.pe // self.folding.lanes

    @cached_property
    def to_words(self) -> int:
        """Cycles from a result's last step to its first word at the requantiser."""
        return ADDRESS_LATENCY + self.read_latency + self.array_latency + (self.result_words > 1)

    @cached_property
    def requant_latency(self) -> int:
        return self.numbers.scaling.latency(len(self.requantizer_rows), self.numbers.accumulator_bits, self.family)

    @property
    def kept_latency(self) -> int:
        """Cycles from a word at the requantiser to what is kept of it."""
        return self.requant_latency + (SUM_LATENCY if self.segment.sums else 0)

    @property
    def done_delay(self) -> int:
        """Cycles from a job's last word at the requantiser until jobs that read it may be taken."""
        return max(self.kept_latency - ADDRESS_LATENCY, 0)

    @property
    def release_delay(self) -> int:
        """Cycles from a job's last step until what it read may be overwritten."""
        return self.to_words + self.result_words - 1

    @cached_property
    def drain(self) -> int:
        """Cycles from a job's last step to the first in which a job that waits for it can be taken."""
        return self.to_words + self.result_words - 1 + self.done_delay + 2

    @cached_property
    def most_under_way(self) -> int:
        """Jobs that can be in the pipeline: one is taken every second cycle at most."""
        return self.drain // 2 + 2

    @property
    def latency(self) -> int:
        return self.to_words + self.kept_latency

    @property
    def cycles(self) -> int:
        return self.program.cycles

    # Cost

    @property
    def products(self) -> int:  # type: ignore[override]
        return self.folding.simd * self.folding.pe

    @property
    def multipliers(self) -> int:  # type: ignore[override]
        return multipliers_of(self.folding.multiplier, self.products, self.numbers.weight_bits, self.family)

    @property
    def dsps(self) -> int:  # type: ignore[override]
        own = self.multipliers if self.folding.multiplier in BLOCK_KINDS else 0
        return own + self.numbers.scaling.multipliers(self.numbers.accumulator_bits, self.family) * self.folding.lanes

    @property
    def rom_bits(self) -> int:  # type: ignore[override]
        return sum(int(node.weight.size) * node.weight_format.bits for node in self.nodes)

    def stores(self) -> tuple[Store, ...]:
        return *stores_of(self), *super().stores()

    def parts(self) -> dict[str, Resources]:
        return parts_of(self, self.issue_code.fields, self.write_code.fields)

    @cached_property
    def least_resources(self) -> Resources:
        """What it takes at least, whatever the order of its jobs: all but a few bits of its program are known."""
        issue, write = fields_of(self)
        return sum(parts_of(self, issue, write).values(), Resources(dsps=self.dsps))

    # Hardware and its schedule

    @cached_property
    def issue_code(self) -> Code:
        return issue_code(
            *(self.works, self.program, self.layout),
            signs=[x.format.signed for x in self.edges],
            out_words=self.position_words,
            most=self.most_under_way,
        )

    @cached_property
    def write_code(self) -> Code:
        return write_code(self.works, self.program, self.layout, self.written)

    @cached_property
    def written(self) -> list[Written]:
        """What becomes of each stage's results."""
        lanes, numbers, found = self.folding.lanes, self.numbers, []
        kinds = [0] * len(self.works) if numbers.sums is None else numbers.sums.of_stage
        for stage, work, scale, kind in zip(self.segment.stages, self.works, numbers.scaling.kinds, kinds, strict=True):
            last = work is self.works[-1]
            kept = self.position_words if last else -(-work.node.out_size // self.folding.simd) * self.slices
            signed = stage.sum is not None and stage.sum.x.format.signed
            found.append(Written(kept, kept - -(-work.node.out_size // lanes), *scale, kind, signed))
        return found

    @cached_property
    def stream_words(self) -> tuple[IntArray, IntArray]:
        """Words of an inference that must have come when each job starts, and that are free when it is done."""
        needs = np.cumsum([word["needs"] for word in self.issue_code.words]) - unread_words(self.works, self.reads)
        return needs.astype(np.int64), np.cumsum([word["frees"] for word in self.write_code.words]).astype(np.int64)

    @cached_property
    def pointer_bits(self) -> int:
        """Of pointers into the stream: more than twice as many values as the writer's limit is ever ahead of it."""
        first, row = self.works[0], self.layout.rings[0].row_words
        needs = np.maximum.accumulate([job.end for job in first.jobs]) * first.words
        most = max(job.keeps * row - int(need) for job, need in zip(first.jobs, needs, strict=True))
        return bits_for(2 * (self.ring + most + 2))

    def unit(self, in_lanes: int) -> wiring.Component:
        return EngineUnit(self, in_lanes)

    def recurrence(self, units: Any, inputs: Sequence[int], output: int, in_lanes: int) -> None:
        jobs, last = self.program.jobs, len(self.works) - 1
        needs, releases = self.stream_words
        tables = [
            np.array(table, dtype=np.int64)
            for table in (
                [job.steps for job in jobs],
                [job.results for job in jobs],
                [int(stage == last) for stage in self.program.stages],
                [-1 if depth == number else depth for number, depth in enumerate(self.program.depth)],
            )
        ]
        units.add_engine(
            *(inputs[0], output, self.in_width // in_lanes, self.ring, self.in_words, self.folding.queue, self.latency),
            *(self.drain, self.release_delay, self.works[-1].groups, self.result_words, self.position_words, len(jobs)),
            *(needs, releases, *tables),
        )


def works_of(segment: Segment, simd: int, pe: int) -> tuple[Work, ...]:
    """The stages of a segment on simd x pe lanes."""
    last = len(segment.stages) - 1
    return tuple(
        work_of(stage.node, stage.x, simd, pe, fills=number < last) for number, stage in enumerate(segment.stages)
    )
