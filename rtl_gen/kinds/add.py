"""The sum of two streams: aligned to the finer scale, added, rounded once, clamped; a word a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from amaranth.hdl import Cat, Module, Signal, Value, signed

from qtt_hw.fixedpoint import bits_for_range
from qtt_hw.graph import Add, Edge
from rtl_gen.costs.arithmetic import requantizer
from rtl_gen.costs.cells import adder
from rtl_gen.costs.streams import credited, output_queue
from rtl_gen.credited import CreditedUnit
from rtl_gen.delay import delay
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.choices import JoinChoices
from rtl_gen.kinds.credited import CreditedSpec, join_choices
from rtl_gen.kinds.spec import Kind
from rtl_gen.requantizer import RequantizeUnit, latency_of

__all__ = ["ADD", "AddSpec", "AddUnit"]


class AddSpec(CreditedSpec):
    """A sum."""

    node: Add
    kind = "sum"

    @cached_property
    def sums(self) -> tuple[int, int]:
        """Range of the sum before requantisation."""
        return self.node.sums(*self.inputs)

    @property
    def sum_bits(self) -> int:
        return bits_for_range(*self.sums)

    @property
    def latency(self) -> int:
        """Cycles from the taking of a word of each input to the push of their sum."""
        return 1 + latency_of(self.node.requant, *self.sums, 1, self.family)

    def parts(self) -> dict[str, Resources]:
        lanes, queue = self.folding.lanes, self.folding.queue
        bits = self.sum_bits - (self.sums[0] >= 0)
        zeros = self.node.left
        added = Resources(luts=lanes * adder(bits - max(zeros)), ffs=lanes * (bits - min(zeros)) + 1)
        rounded = requantizer(self.node.requant, *self.sums, lanes, 1, False, self.family)
        return {
            "": added + credited(queue),
            "requantizer": rounded,
            "queue": output_queue(lanes * self.out.format.bits, queue, self.family),
        }

    def unit(self, in_lanes: int) -> AddUnit:
        return AddUnit(self)


def _choices(node: Add, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> JoinChoices:
    return join_choices(AddSpec, node, inputs, streams, family, inputs[0].channels)


class AddUnit(CreditedUnit):
    """A sum as a stream component."""

    spec: AddSpec

    def results(self, m: Module, fires: Signal) -> tuple[Value, Value]:
        spec, lanes = self.spec, self.spec.folding.lanes
        low, high = spec.sums
        m.submodules.requantizer = requantizer = RequantizeUnit(
            spec.node.requant, low=low, high=high, lanes=lanes, words=1, by_channel=False, family=spec.family
        )
        for lane in range(lanes):
            total = Signal(signed(spec.sum_bits), name=f"sum_{lane}")
            terms = [value << left for value, left in zip(self.values(m, lane), spec.node.left, strict=True)]
            m.d.sync += total.eq(terms[0] + terms[1])
            m.d.comb += requantizer.i[lane].eq(total)
        m.d.comb += requantizer.i_valid.eq(delay(m, fires, 1, "fires"))
        return Cat(requantizer.o[lane] for lane in range(lanes)), requantizer.o_valid


ADD = Kind(AddSpec, _choices)
