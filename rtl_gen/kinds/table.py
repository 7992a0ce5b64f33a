"""Tables: every lane looks its value up in a ROM of its own; a word a cycle."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal, Value

from qtt_hw.graph import Edge, Table
from rtl_gen.costs.cells import rom, table_luts
from rtl_gen.costs.streams import credited, output_queue
from rtl_gen.credited import CreditedUnit
from rtl_gen.delay import delay
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.credited import CreditedChoices, CreditedSpec
from rtl_gen.kinds.spec import Kind, Store
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

    def stores(self) -> tuple[Store, ...]:
        return Store("table", len(self.words), self.out.format.bits, self.folding.lanes), *super().stores()

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


class TableChoices(CreditedChoices):
    """Words of any width that its readers take."""

    made_of = TableSpec


def _choices(node: Table, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> TableChoices:
    return TableChoices(node, inputs[0], streams[0], family)


TABLE = Kind(TableSpec, _choices)
