"""One requantiser for all stages of an engine: rows of m and b by stage and channel, a few shifts, a few ranges.

y = clamp((acc * m + b + 2**(s-1)) >> s) is clamp((acc * (m << k) + ((b + 2**(s-1)) << k)) >> (s + k)), to the last bit.
So the stages' shifts become one, or two where a multiplier's operand is too narrow for the difference; what has no m
multiplies by a power of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Array, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from qtt_hw.fixedpoint import Requantizer, bits_for_range
from rtl_gen.delay import delay
from rtl_gen.engine.ranges import exceeds, falls_below
from rtl_gen.enveloped import b_range, m_range
from rtl_gen.families import Family
from rtl_gen.memory import Rom
from rtl_gen.multiplier import latency_of as product_latency
from rtl_gen.multiplier import multiply, pieces, split

Range = tuple[int, int]

__all__ = ["Scaling", "SharedRequantizer", "scaling_of"]


@dataclass(frozen=True)
class Scaling:
    """The requantisers of an engine's stages in common terms.

    Attributes
    ----------
    shifts : tuple of int
        Ascending.
    ranges : tuple of (int, int)
        Least and greatest output.
    kinds : tuple of (int, int)
        Of each stage, the numbers of its shift and its range.
    factors, offsets : tuple of tuple of int
        Of each stage by channel: m and b for its shift.
    factor_range, offset_range : (int, int)
        Least and greatest of these that the hardware holds.
    """

    shifts: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]
    kinds: tuple[tuple[int, int], ...]
    factors: tuple[tuple[int, ...], ...]
    offsets: tuple[tuple[int, ...], ...]
    factor_range: Range
    offset_range: Range

    @cached_property
    def factor_bits(self) -> int:
        return bits_for_range(*self.factor_range)

    @cached_property
    def offset_bits(self) -> int:
        return bits_for_range(*self.offset_range)

    @property
    def shape(self) -> Shape:
        """Of an output: wide enough for all ranges."""
        least, most = min(low for low, _ in self.ranges), max(high for _, high in self.ranges)
        return signed(bits_for_range(least, most)) if least < 0 else unsigned(bits_for(most))

    def multipliers(self, accumulator: int, family: Family) -> int:
        """Multiplier blocks of a lane whose inputs have so many signed bits."""
        return pieces(accumulator, family) * pieces(self.factor_bits, family)

    def read_latency(self, rows: int, family: Family) -> int:
        """Cycles from the number of one of so many rows to m and b."""
        return family.memory.read_latency(rows, self.factor_bits + self.offset_bits)

    def latency(self, rows: int, accumulator: int, family: Family) -> int:
        """Cycles from an input to its output."""
        product = product_latency("dsp", family, family.multiplier.bits) + self.multipliers(accumulator, family)
        return self.read_latency(rows, family) + product + (len(self.shifts) > 1) + 2


@dataclass(frozen=True)
class _Affine:
    """m, and b with its rounding term, of each channel; the ranges that the hardware holds of them; s, at least 0."""

    m: tuple[int, ...]
    b: tuple[int, ...]
    m_range: Range
    b_range: Range
    shift: int

    @staticmethod
    def of(requant: Requantizer, channels: int) -> _Affine:
        shift = max(requant.shift, 0)
        half = (1 << shift) >> 1
        if requant.multiplier is None or requant.offset is None:
            m, b = 1 << max(-requant.shift, 0), half
            return _Affine((m,) * channels, (b,) * channels, (m, m), (b, b), shift)
        low, high = b_range(requant)
        offsets = tuple(b + half for b in requant.offset)
        return _Affine(tuple(requant.multiplier), offsets, m_range(requant), (low + half, high + half), shift)

    def raised(self, shift: int) -> _Affine:
        """The same for a greater shift."""
        more = shift - self.shift
        m, b = (tuple(value << more for value in values) for values in (self.m, self.b))
        m_range, b_range = ((low << more, high << more) for low, high in (self.m_range, self.b_range))
        return _Affine(m, b, m_range, b_range, shift)

    def fits(self, shift: int, family: Family) -> bool:
        """Whether m for that shift is a multiplier's operand; where no shift makes it one, its own does."""
        if shift <= self.shift:
            return shift == self.shift
        low, high = self.m_range
        return bits_for_range(low << (shift - self.shift), high << (shift - self.shift)) <= family.multiplier.bits


def scaling_of(requants: Sequence[tuple[Requantizer, int]], family: Family) -> Scaling:
    """The fewest shifts by which requantisers, each with its channels, can be done on one multiplier's operand."""
    affine = [_Affine.of(requant, channels) for requant, channels in requants]
    shifts: list[int] = []
    left = set(range(len(affine)))
    while left:
        shifts.append(max(affine[k].shift for k in left))
        left = {k for k in left if not affine[k].fits(shifts[-1], family)}
    shifts.sort()
    ranges = sorted({(r.out.minimum, r.out.maximum) for r, _ in requants})
    kinds, raised = [], list[_Affine]()
    for (requant, _), one in zip(requants, affine, strict=True):
        number = next(n for n, shift in enumerate(shifts) if shift >= one.shift and one.fits(shift, family))
        kinds.append((number, ranges.index((requant.out.minimum, requant.out.maximum))))
        raised.append(one.raised(shifts[number]))
    return Scaling(
        *(tuple(shifts), tuple(ranges), tuple(kinds)),
        *(tuple(one.m for one in raised), tuple(one.b for one in raised)),
        *(_joined(one.m_range for one in raised), _joined(one.b_range for one in raised)),
    )


def _joined(ranges: Iterable[Range]) -> Range:
    """The range of all."""
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)


class SharedRequantizer(wiring.Component):
    """o[lane] = the requantised i[lane], `latency` cycles later, by the row, the shift and the range given with it.

    Parameters
    ----------
    scaling : Scaling
    rows : sequence of sequence of (int, int), [rows][lanes]
        m and b.
    accumulator : int
        Signed bits of the inputs.
    family : Family
    """

    def __init__(
        self, scaling: Scaling, rows: Sequence[Sequence[tuple[int, int]]], *, accumulator: int, family: Family
    ):
        self.scaling, self.rows, self.accumulator, self.family = scaling, rows, accumulator, family
        self.lanes = len(rows[0])
        self.latency = scaling.latency(len(rows), accumulator, family)
        self._read = scaling.read_latency(len(rows), family)
        self._product = product_latency("dsp", family, family.multiplier.bits)
        super().__init__(
            {
                "i": In(data.ArrayLayout(signed(accumulator), self.lanes)),
                "row": In(unsigned(bits_for(max(len(rows) - 1, 1)))),
                "shift": In(unsigned(bits_for(max(len(scaling.shifts) - 1, 1)))),
                "clamp": In(unsigned(bits_for(max(len(scaling.ranges) - 1, 1)))),
                "o": Out(data.ArrayLayout(scaling.shape, self.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        scaling = self.scaling
        clamp = delay(m, self.clamp, self.latency - 2, "clamp")
        late_clamp = delay(m, clamp, 1, "clamp_late")
        shift = delay(m, self.shift, self.latency - 3, "shift")
        for lane in range(self.lanes):
            total = self._sum(m, platform, lane)
            shifted: Value = total >> scaling.shifts[0]
            if len(scaling.shifts) > 1:
                chosen = Signal(shifted.shape(), name=f"shifted_{lane}")
                m.d.sync += chosen.eq(Array([total >> s for s in scaling.shifts])[shift])
                shifted = chosen
            above, below = Signal(name=f"above_{lane}"), Signal(name=f"below_{lane}")
            kept, y = Signal(scaling.shape, name=f"kept_{lane}"), Signal(scaling.shape, name=f"y_{lane}")
            m.d.sync += [
                above.eq(Array([exceeds(shifted, high) for _, high in scaling.ranges])[clamp]),
                below.eq(Array([falls_below(shifted, low) for low, _ in scaling.ranges])[clamp]),
                kept.eq(shifted),
            ]
            greatest = Array([high for _, high in scaling.ranges])[late_clamp]
            least = Array([low for low, _ in scaling.ranges])[late_clamp]
            m.d.sync += y.eq(Mux(above, greatest, Mux(below, least, kept)))
            m.d.comb += self.o[lane].eq(y)
        return m

    def _sum(self, m: Module, platform: object, lane: int) -> Value:
        """acc * m + b."""
        scaling = self.scaling
        m_bits, b_bits = scaling.factor_bits, scaling.offset_bits
        words = [_packed(row[lane][0], m_bits) | _packed(row[lane][1], b_bits) << m_bits for row in self.rows]
        rom = Rom(words, m_bits + b_bits, self.family)
        m.submodules[f"rows_{lane}"] = rom
        m.d.comb += rom.address.eq(self.row)
        acc = delay(m, self.i[lane], self._read, f"acc_{lane}")
        factor, offset = rom.data[:m_bits].as_signed(), rom.data[m_bits:].as_signed()
        bits = max(self.accumulator + m_bits, b_bits) + 1
        total = delay(m, offset, self._product, f"b_{lane}")
        for index, (a_low, a) in enumerate(split(acc, self.family)):
            for inner, (f_low, f) in enumerate(split(factor, self.family)):
                place = index * pieces(m_bits, self.family) + inner
                product = multiply(m, platform, a, f, "dsp", f"product_{lane}_{place}", self.family)
                late = delay(m, product, place, f"product_{lane}_{place}")
                added = Signal(signed(bits), name=f"sum_{lane}_{place}")
                m.d.sync += added.eq(total + (late << (a_low + f_low)))
                total = added
        return total


def _packed(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)
