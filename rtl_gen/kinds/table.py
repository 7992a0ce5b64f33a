"""Tables: every lane looks its value up in a ROM of its own; a word a cycle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value

from qtt_hw.graph import Edge, Table
from rtl_gen.credited import CreditedUnit, add_credited
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.choices import Choice, Lanes, StageChoices, Widths, divisors
from rtl_gen.kinds.permutation import table_luts
from rtl_gen.kinds.spec import SPARE_WORDS, Folding, Kind, Spec
from rtl_gen.memory import Rom
from rtl_gen.reduce import delay

__all__ = ["TABLE", "TableSpec", "TableUnit"]


class TableSpec(Spec):
    """A table, of whose folding only `lanes` and `queue` are free: `simd` and `pe` equal `lanes`; there is no ring."""

    node: Table

    def check(self) -> None:
        folding, lanes = self.folding, self.folding.lanes
        if lanes < 1 or self.out.channels % lanes:
            raise self.refuse(f"lanes {lanes} does not divide {self.out.channels}")
        if (folding.simd, folding.pe, folding.carry, folding.ring) != (lanes, lanes, 1, 0):
            raise self.refuse(f"a table has simd and pe {lanes} like its lanes, carry 1 and ring 0")
        if folding.queue < 1:
            raise self.refuse(f"a queue of {folding.queue} words cannot hold one result")

    def deepest(self) -> dict[str, int]:
        return {"queue": 2 * (self.latency + 3) + SPARE_WORDS}

    @property
    def in_width(self) -> int:
        return self.folding.lanes

    @property
    def in_words(self) -> int:
        return self.out_words

    @property
    def cycles(self) -> int:
        return self.out_words

    @property
    def latency(self) -> int:
        return self.family.memory.read_latency

    @property
    def words(self) -> list[int]:
        """The ROM's contents, unsigned."""
        return [entry & ((1 << self.out.format.bits) - 1) for entry in self.node.entries]

    def resources(self) -> Resources:
        lanes, bits, memory = self.folding.lanes, self.out.format.bits, self.family.memory
        blocks = memory.blocks(len(self.words), bits)
        luts = 0 if blocks else table_luts(tuple(self.words)) + bits
        return Resources(brams=lanes * blocks, luts=40 + lanes * luts + memory.luts(self.folding.queue, lanes * bits))

    def unit(self, in_lanes: int) -> TableUnit:
        return TableUnit(self)

    def recurrence(self, units: Any, inputs: Sequence[int], output: int, in_lanes: int) -> None:
        add_credited(self, units, inputs, output)


class TableUnit(CreditedUnit):
    """A table as a stream component."""

    spec: TableSpec

    def results(self, m: Module, fires: Signal) -> tuple[Value, Value]:
        spec, looked_up = self.spec, []
        for lane in range(spec.folding.lanes):
            m.submodules[f"rom_{lane}"] = rom = Rom(spec.words, spec.out.format.bits, spec.family)
            (value,) = self.values(m, lane)
            m.d.comb += rom.address.eq(value)
            looked_up.append(rom.data)
        return Cat(*looked_up), delay(m, fires, spec.latency, "fires")


class TableChoices(StageChoices):
    """As many lanes as a word has values, where the readers take such words."""

    def word_widths(self) -> list[int]:
        return divisors(self.x.channels)

    def serial_cycles(self) -> int:
        return self.x.positions * self.x.channels

    def shapes(self, width: int) -> Widths:
        return Widths(width, 1, [width], 1)

    def spec(self, folding: Folding) -> TableSpec:
        return TableSpec(self.node, (self.x,), folding, self.family)

    def _choices(self, width: int, behind: Lanes) -> Iterator[Choice]:
        if width in behind:
            folding = Folding(simd=width, pe=width, lanes=width, ring=0, queue=16)
            spec = self.spec(folding)
            yield Choice(folding, spec.cycles, spec.resources())


def _choices(node: Table, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> TableChoices:
    return TableChoices(node, inputs[0], streams[0], family)


TABLE = Kind(TableSpec, _choices)
