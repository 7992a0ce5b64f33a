"""Slices: of every position some neighbouring words; all others are taken and left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal, Value

from qtt_hw.graph import Edge, Slice
from rtl_gen.costs.streams import credited, output_queue, turned
from rtl_gen.credited import CreditedUnit
from rtl_gen.delay import delay
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.choices import divisors
from rtl_gen.kinds.credited import CreditedChoices, CreditedSpec, Turn
from rtl_gen.kinds.spec import Kind

__all__ = ["SLICE", "SliceSpec", "SliceUnit"]


class SliceSpec(CreditedSpec):
    """A slice, in words that lie wholly within it or without."""

    node: Slice
    kind = "slice"
    latency = 1

    def check(self) -> None:
        super().check()
        lanes = self.folding.lanes
        if self.node.first % lanes or self.inputs[0].channels % lanes:
            raise self.refuse(f"lanes {lanes} does not divide {self.node.first} and {self.inputs[0].channels}")

    @property
    def turns(self) -> tuple[Turn, ...]:
        (x,) = self.inputs
        first, count, lanes = self.node.first, self.node.count, self.folding.lanes
        parts = (first, False), (count, True), (x.channels - first - count, False)
        return tuple(Turn(channels // lanes, (0,), puts) for channels, puts in parts if channels)

    @property
    def cycles(self) -> int:
        (x,) = self.inputs
        return x.positions * x.channels // self.folding.lanes

    def parts(self) -> dict[str, Resources]:
        bits, queue = self.folding.lanes * self.out.format.bits, self.folding.queue
        turns = turned([turn.words for turn in self.turns])
        own = credited(queue) + turns + Resources(ffs=bits + 1)
        return {"": own, "queue": output_queue(bits, queue, self.family)}

    def unit(self, in_lanes: int) -> SliceUnit:
        return SliceUnit(self)


class SliceUnit(CreditedUnit):
    """A slice as a stream component."""

    spec: SliceSpec

    def results(self, m: Module, fires: Signal) -> tuple[Value, Value]:
        values = [self.values(m, lane)[0] for lane in range(self.spec.folding.lanes)]
        return delay(m, Cat(*values), 1, "word"), delay(m, fires, 1, "fires")


class SliceChoices(CreditedChoices):
    """Words that lie wholly within the slice or without."""

    node: Slice
    made_of = SliceSpec

    def word_widths(self) -> list[int]:
        return divisors(math.gcd(self.x.channels, self.node.first, self.node.count))


def _choices(node: Slice, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> SliceChoices:
    return SliceChoices(node, inputs[0], streams[0], family)


SLICE = Kind(SliceSpec, _choices)
