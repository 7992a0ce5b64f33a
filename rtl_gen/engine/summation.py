"""Sums behind an engine's requantiser: the hardware of `qtt_hw.graph.Add` for all of its stages, running free.

y = clamp(((own << a) + (other << b) + 2**(s-1)) >> s) is, to the last bit, the same with all three shifted to the left
first and as much further to the right then. So one shift to the right serves all; what has nothing added to it passes
by a shift to the left and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Array, Cat, Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from qtt_hw.fixedpoint import bits_for_range
from qtt_hw.graph import Edge
from rtl_gen.delay import delay
from rtl_gen.engine.ranges import exceeds, falls_below
from rtl_gen.engine.segment import SegmentStage

__all__ = ["LATENCY", "SharedSum", "SumKind", "Sums", "sums_of"]

#: Cycles from a result to the sum.
LATENCY = 4


@dataclass(frozen=True)
class SumKind:
    """How something is added.

    Attributes
    ----------
    own, other : int
        By what the stage's result and the other summand are shifted left.
    half : int
        What is added to round.
    low, high : int
        Least and greatest output.
    """

    own: int
    other: int
    half: int
    low: int
    high: int


@dataclass(frozen=True)
class Sums:
    """The sums of an engine's stages in common terms.

    Attributes
    ----------
    shift : int
        To the right, of all.
    kinds : tuple of SumKind
        The first is that of stages without a sum, if there are any.
    of_stage : tuple of int
        The number of each stage's.
    total : (int, int)
        Range before the shift.
    bits : int
        Of a summand as it is stored.
    """

    shift: int
    kinds: tuple[SumKind, ...]
    of_stage: tuple[int, ...]
    total: tuple[int, int]
    bits: int

    @cached_property
    def shape(self) -> Shape:
        """Of an output: wide enough for all ranges."""
        low, high = min(kind.low for kind in self.kinds), max(kind.high for kind in self.kinds)
        return signed(bits_for_range(low, high)) if low < 0 else unsigned(bits_for(high))


def sums_of(stages: Sequence[SegmentStage], results: Shape, bits: int) -> Sums | None:
    """The sums of stages whose requantised results have one shape; None where there are none.

    Parameters
    ----------
    stages : sequence of SegmentStage
    results : Shape
    bits : int
        Of a summand as it is stored.
    """
    found = [stage.sum for stage in stages if stage.sum is not None]
    if not found:
        return None
    shift = max(0, *(one.node.requant.shift for one in found))
    top = 1 << (results.width - results.signed)
    least, most = -top if results.signed else 0, top - 1
    passing = SumKind(shift, 0, 0, least, most)
    kinds: list[SumKind] = [] if len(found) == len(stages) else [passing]
    ends = [least << shift, most << shift]
    numbers = []
    for stage in stages:
        if stage.sum is None:
            numbers.append(0)
            continue
        requant = stage.sum.node.requant
        right, left = max(requant.shift, 0), max(-requant.shift, 0)
        more = shift - right
        own, other = (one + left + more for one in stage.sum.shifts)
        half = ((1 << right) >> 1) << more
        kind = SumKind(own, other, half, requant.out.minimum, requant.out.maximum)
        if kind not in kinds:
            kinds.append(kind)
        numbers.append(kinds.index(kind))
        made: Edge = stage.node.output(stage.x)
        a, b = made.format, stage.sum.x.format
        ends += [(a.minimum << own) + (b.minimum << other), (a.maximum << own) + (b.maximum << other) + half]
    return Sums(shift, tuple(kinds), tuple(numbers), (min(ends), max(ends)), bits)


class SharedSum(wiring.Component):
    """o[lane] = the sum of own[lane] and other[lane], `LATENCY` cycles later, or own[lane] alone.

    Parameters
    ----------
    sums : Sums
    results : Shape
        Of `own`.
    lanes : int

    Members
    -------
    own, other : In
        `other` as it is stored.
    kind, adds, signed : In
        Given with them: the number of the kind, whether anything is added, and whether it has a sign.
    """

    def __init__(self, sums: Sums, results: Shape, lanes: int):
        self.sums, self.lanes = sums, lanes
        super().__init__(
            {
                "own": In(data.ArrayLayout(results, lanes)),
                "other": In(data.ArrayLayout(unsigned(sums.bits), lanes)),
                "kind": In(unsigned(bits_for(max(len(sums.kinds) - 1, 1)))),
                "adds": In(1),
                "signed": In(1),
                "o": Out(data.ArrayLayout(sums.shape, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sums, kinds = self.sums, self.sums.kinds
        late = [delay(m, self.kind, cycles, f"kind_{cycles}") for cycles in range(LATENCY)]
        total_shape = signed(bits_for_range(*sums.total))
        for lane in range(self.lanes):
            own, other = self.own[lane], self.other[lane]
            extended = Cat(other, other[-1] & self.signed).as_signed()
            left, right, total = (Signal(total_shape, name=f"{name}_{lane}") for name in ("left", "right", "total"))
            m.d.sync += [
                left.eq(Array([own << kind.own for kind in kinds])[self.kind]),
                right.eq(Mux(self.adds, Array([extended << kind.other for kind in kinds])[self.kind], 0)),
                total.eq(left + right + Array([kind.half for kind in kinds])[late[1]]),
            ]
            shifted = total >> sums.shift
            above, below = Signal(name=f"above_{lane}"), Signal(name=f"below_{lane}")
            kept, y = Signal(sums.shape, name=f"kept_{lane}"), Signal(sums.shape, name=f"y_{lane}")
            m.d.sync += [
                above.eq(Array([exceeds(shifted, kind.high) for kind in kinds])[late[2]]),
                below.eq(Array([falls_below(shifted, kind.low) for kind in kinds])[late[2]]),
                kept.eq(shifted),
            ]
            greatest, least = (Array(ends)[late[3]] for ends in zip(*((k.high, k.low) for k in kinds), strict=True))
            m.d.sync += y.eq(Mux(above, greatest, Mux(below, least, kept)))
            m.d.comb += self.o[lane].eq(y)
        return m
