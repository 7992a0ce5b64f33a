"""The channels of several streams one after the other: brought to one scale, rounded once, clamped; a word a cycle."""

from __future__ import annotations

import math
from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from qtt_hw.fixedpoint import bits_for_range
from qtt_hw.graph import Concatenation, Edge
from rtl_gen.costs.arithmetic import requantizer
from rtl_gen.costs.cells import chosen
from rtl_gen.costs.streams import credited, output_queue, turned
from rtl_gen.credited import CreditedUnit
from rtl_gen.delay import delay
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.choices import JoinChoices
from rtl_gen.kinds.credited import CreditedSpec, Turn, join_choices
from rtl_gen.kinds.spec import Kind
from rtl_gen.requantizer import RequantizeUnit, latency_of

__all__ = ["CONCATENATION", "ConcatenationSpec", "ConcatenationUnit"]


class ConcatenationSpec(CreditedSpec):
    """A concatenation: of every position all words of the first stream, then all of the second, and so on."""

    node: Concatenation
    kind = "concatenation"

    def check(self) -> None:
        super().check()
        for edge in self.inputs:
            if edge.channels % self.folding.lanes:
                raise self.refuse(f"lanes {self.folding.lanes} does not divide {edge.channels}, of an input")

    @property
    def turns(self) -> tuple[Turn, ...]:
        return tuple(Turn(edge.channels // self.folding.lanes, (k,)) for k, edge in enumerate(self.inputs))

    @property
    def range(self) -> tuple[int, int]:
        """Of a value before requantisation."""
        return self.node.range(*self.inputs)

    @property
    def latency(self) -> int:
        """Cycles from the taking of a word to its push."""
        return 1 + latency_of(self.node.requant, *self.range, 1, self.family)

    def parts(self) -> dict[str, Resources]:
        lanes, queue = self.folding.lanes, self.folding.queue
        bits = bits_for_range(*self.range)
        taken = Resources(luts=lanes * chosen(bits, len(self.inputs)), ffs=lanes * bits + 1)
        rounded = requantizer(self.node.requant, *self.range, lanes, 1, False, self.family)
        turns = turned([turn.words for turn in self.turns])
        return {
            "": taken + credited(queue) + turns,
            "requantizer": rounded,
            "queue": output_queue(lanes * self.out.format.bits, queue, self.family),
        }

    def unit(self, in_lanes: int) -> ConcatenationUnit:
        return ConcatenationUnit(self)


def _choices(node: Concatenation, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> JoinChoices:
    return join_choices(ConcatenationSpec, node, inputs, streams, family, math.gcd(*(edge.channels for edge in inputs)))


class ConcatenationUnit(CreditedUnit):
    """A concatenation as a stream component."""

    spec: ConcatenationSpec

    def results(self, m: Module, fires: Signal) -> tuple[Value, Value]:
        spec, lanes = self.spec, self.spec.folding.lanes
        low, high = spec.range
        m.submodules.requantizer = requantizer = RequantizeUnit(
            spec.node.requant, low=low, high=high, lanes=lanes, words=1, by_channel=False, family=spec.family
        )
        for lane in range(lanes):
            value = Signal(signed(bits_for_range(low, high)), name=f"value_{lane}")
            aligned = [value << left for value, left in zip(self.values(m, lane), spec.node.left, strict=True)]
            found: Value = aligned[0]
            for number, other in enumerate(aligned[1:], 1):
                found = Mux(self.turn[number], other, found)
            m.d.sync += value.eq(found)
            m.d.comb += requantizer.i[lane].eq(value)
        m.d.comb += requantizer.i_valid.eq(delay(m, fires, 1, "fires"))
        return Cat(requantizer.o[lane] for lane in range(lanes)), requantizer.o_valid


CONCATENATION = Kind(ConcatenationSpec, _choices)
