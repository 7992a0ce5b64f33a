"""Slices: of every position some neighbouring words; all others are taken and left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from amaranth.hdl import Cat, Module, Signal, Value

from qtt_hw.graph import Edge, Slice
from rtl_gen.costs.streams import credited, output_queue, turned
from rtl_gen.credited import CreditedUnit
from rtl_gen.delay import delay
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.choices import Choice, Lanes, StageChoices, Widths, divisors
from rtl_gen.kinds.credited import CreditedSpec, Turn
from rtl_gen.kinds.spec import Folding, Kind

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


class SliceChoices(StageChoices):
    """Words that lie wholly within the slice or without, where the readers take such words."""

    node: Slice

    def word_widths(self) -> list[int]:
        return divisors(math.gcd(self.x.channels, self.node.first, self.node.count))

    def serial_cycles(self) -> int:
        return self.x.positions * self.x.channels

    def shapes(self, width: int) -> Widths:
        return Widths(width, 1, [width], 1)

    def spec(self, folding: Folding) -> SliceSpec:
        return SliceSpec(self.node, (self.x,), folding, self.family)

    def _choices(self, width: int, behind: Lanes) -> Iterator[Choice]:
        if width in behind:
            folding = SliceSpec.of_lanes(width)
            spec = self.spec(folding)
            yield Choice(folding, spec.cycles, spec.resources())


def _choices(node: Slice, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> SliceChoices:
    return SliceChoices(node, inputs[0], streams[0], family)


SLICE = Kind(SliceSpec, _choices)
