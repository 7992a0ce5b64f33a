"""Tables: every lane looks its value up in a ROM of its own; a word a cycle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amaranth.hdl import Cat, Module, Signal, Value

from qtt_hw.graph import Edge, Table
from rtl_gen.costs.cells import rom, table_luts
from rtl_gen.costs.streams import credited, output_queue
from rtl_gen.credited import CreditedUnit
from rtl_gen.delay import delay
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.choices import Choice, Lanes, StageChoices, Widths, divisors
from rtl_gen.kinds.credited import CreditedSpec
from rtl_gen.kinds.spec import Folding, Kind
from rtl_gen.memory import Rom

__all__ = ["TABLE", "TableSpec", "TableUnit"]


class TableSpec(CreditedSpec):
    """A table: a ROM for each lane."""

    node: Table
    kind = "table"

    @property
    def latency(self) -> int:
        return self.family.memory.read_latency(len(self.words), self.out.format.bits)

    @property
    def words(self) -> list[int]:
        """The ROM's contents, unsigned."""
        return [entry & ((1 << self.out.format.bits) - 1) for entry in self.node.entries]

    def parts(self) -> dict[str, Resources]:
        lanes, bits, depth = self.folding.lanes, self.out.format.bits, len(self.words)
        table = rom(depth, bits, self.family)
        luts = table.luts if table.brams else table_luts(tuple(self.words))
        tables = Resources(brams=lanes * table.brams, luts=lanes * luts, ffs=lanes * table.ffs + self.latency)
        queue = self.folding.queue
        return {"": tables + credited(queue), "queue": output_queue(lanes * bits, queue, self.family)}

    def unit(self, in_lanes: int) -> TableUnit:
        return TableUnit(self)


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
            folding = TableSpec.of_lanes(width)
            spec = self.spec(folding)
            yield Choice(folding, spec.cycles, spec.resources())


def _choices(node: Table, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> TableChoices:
    return TableChoices(node, inputs[0], streams[0], family)


TABLE = Kind(TableSpec, _choices)
