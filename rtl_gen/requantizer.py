"""Accumulators to output integers: the hardware of `qtt_hw.fixedpoint.Requantizer`, running free.

y = clamp((acc * m[row] + b[row] + 2**(s-1)) >> s). The product of a wide accumulator is split exactly over several
multipliers; where every m is the same power of two (a bias without batch norm, a mean of 2**k values) it is wiring. The
rounding term is added into the offset; saturation takes two steps, overflow first.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from qtt_hw.fixedpoint import Requantizer, bits_for_range
from rtl_gen.delay import delay
from rtl_gen.enveloped import Enveloped, b_range, m_range
from rtl_gen.families import Family
from rtl_gen.memory import Rom
from rtl_gen.multiplier import latency_of as product_latency
from rtl_gen.multiplier import multiply, pieces, split
from rtl_gen.reduce import shape_of

__all__ = ["RequantizeUnit", "latency_of", "multipliers_of"]


def _multiplier_bits(requant: Requantizer) -> int:
    return bits_for_range(*m_range(requant))


def scale_of(requant: Requantizer) -> int | None:
    """k where every row multiplies by the same 2**k, which takes no multiplier; else None."""
    if isinstance(requant, Enveloped):
        return requant.scale
    m = requant.multiplier
    if m is None or len(set(m)) > 1 or m[0] < 1 or m[0] & (m[0] - 1):
        return None
    return m[0].bit_length() - 1


def stored_bits(requant: Requantizer) -> tuple[int, int]:
    """Bits of m and of b with its rounding term in the ROM of an affine requantiser's rows; no bits of a fixed m."""
    half, (least, greatest) = _half(requant), b_range(requant)
    offset = bits_for_range(least + half, greatest + half)
    return 0 if scale_of(requant) is not None else _multiplier_bits(requant), offset


def _half(requant: Requantizer) -> int:
    return 1 << (requant.shift - 1) if requant.shift > 0 else 0


def multipliers_of(requant: Requantizer, low: int, high: int, family: Family) -> int:
    """DSP multipliers per lane."""
    if not requant.affine or scale_of(requant) is not None:
        return 0
    return pieces(bits_for_range(low, high), family) * pieces(_multiplier_bits(requant), family)


def _read_latency(requant: Requantizer, rows: int, family: Family) -> int:
    """Cycles from the number of a row to m and b, where a lane keeps so many rows."""
    return family.memory.read_latency(rows, sum(stored_bits(requant)))


def latency_of(requant: Requantizer, low: int, high: int, rows: int, family: Family) -> int:
    """Cycles from an accumulator to its output integer, where a lane of an affine one keeps so many rows."""
    if not requant.affine:
        return 3
    read = _read_latency(requant, rows, family)
    if scale_of(requant) is not None:
        return read + 3
    product = product_latency("dsp", family, family.multiplier.bits)
    return read + product + multipliers_of(requant, low, high, family) + 2


class RequantizeUnit(wiring.Component):
    """o[lane] = requant(i[lane]) with the row of that lane's channel.

    Parameters
    ----------
    requant : Requantizer
    low, high : int
        Range of the accumulators.
    lanes : int
        Values per word.
    words : int
        Words of a position, when rows are channels: word w, lane l is channel w * lanes + l.
    by_channel : bool
        Rows are channels; otherwise `row` names the row of every lane.
    family : Family
    """

    def __init__(
        self, requant: Requantizer, *, low: int, high: int, lanes: int, words: int, by_channel: bool, family: Family
    ):
        self.requant, self.low, self.high = requant, low, high
        self.lanes, self.words, self.by_channel = lanes, words, by_channel
        self.family = family
        rows = len(requant.multiplier or ()) or 1
        self.rows = rows // lanes if by_channel else rows
        self.latency = latency_of(requant, low, high, self.rows, family)
        super().__init__(
            {
                "i": In(data.ArrayLayout(signed(bits_for_range(low, high)), lanes)),
                "i_valid": In(1),
                "row": In(unsigned(max(ceil_log2(rows), 1))),
                "o": Out(data.ArrayLayout(shape_of(requant.out), lanes)),
                "o_valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        requant = self.requant
        shift = max(requant.shift, 0)
        sums = self._affine(m, platform) if requant.affine else self._rounded(m)
        out = requant.out
        for lane, total in enumerate(sums):
            shifted = total >> shift
            above, below = Signal(name=f"above_{lane}"), Signal(name=f"below_{lane}")
            kept = Signal(shape_of(out), name=f"kept_{lane}")
            y = Signal(shape_of(out), name=f"y_{lane}")
            m.d.sync += [above.eq(shifted > out.maximum), below.eq(shifted < out.minimum), kept.eq(shifted)]
            m.d.sync += y.eq(Mux(above, out.maximum, Mux(below, out.minimum, kept)))
            m.d.comb += self.o[lane].eq(y)
        m.d.comb += self.o_valid.eq(delay(m, self.i_valid, self.latency, "valid"))
        return m

    def _rounded(self, m: Module) -> list[Value]:
        shift, half = self.requant.shift, _half(self.requant)
        sums: list[Value] = []
        for lane in range(self.lanes):
            total = Signal(signed(bits_for_range(*self.requant.product_range(self.low, self.high))), name=f"sum_{lane}")
            m.d.sync += total.eq((self.i[lane] << max(-shift, 0)) + half)
            sums.append(total)
        return sums

    def _affine(self, m: Module, platform: object) -> list[Value]:
        requant = self.requant
        assert requant.multiplier is not None and requant.offset is not None
        offsets = [b + _half(requant) for b in requant.offset]
        m_bits, b_bits = stored_bits(requant)
        scale = scale_of(requant)
        address = self._row_address(m)
        total_bits = bits_for_range(*requant.product_range(self.low, self.high))
        sums: list[Value] = []
        for lane in range(self.lanes):
            rows = range(lane, len(offsets), self.lanes) if self.by_channel else range(len(offsets))
            words = [_packed(requant.multiplier[r], m_bits) | _packed(offsets[r], b_bits) << m_bits for r in rows]
            rom = Rom(words, m_bits + b_bits, self.family)
            m.submodules[f"rows_{lane}"] = rom
            m.d.comb += rom.address.eq(address)
            acc = delay(m, self.i[lane], _read_latency(requant, self.rows, self.family), f"acc_{lane}")
            offset = rom.data[m_bits:].as_signed()
            if scale is not None:
                whole = Signal(signed(total_bits + 1), name=f"sum_{lane}")
                m.d.sync += whole.eq((acc << scale) + offset)
                sums.append(whole)
                continue
            factor = rom.data[:m_bits].as_signed()
            total = delay(m, offset, product_latency("dsp", self.family, self.family.multiplier.bits), f"b_{lane}")
            for index, (a_low, a) in enumerate(split(acc, self.family)):
                for inner, (f_low, f) in enumerate(split(factor, self.family)):
                    place = index * pieces(m_bits, self.family) + inner
                    product = multiply(m, platform, a, f, "dsp", f"product_{lane}_{place}", self.family)
                    late = delay(m, product, place, f"product_{lane}_{place}")
                    added = Signal(signed(total_bits + 1), name=f"sum_{lane}_{place}")
                    m.d.sync += added.eq(total + (late << (a_low + f_low)))
                    total = added
            sums.append(total)
        return sums

    def _row_address(self, m: Module) -> Value:
        if not self.by_channel:
            return self.row
        if self.words == 1:
            return Const(0, 1)
        word = Signal(range(self.words))
        # Without a carry chain, whose sums synthesis would otherwise read the rows by, and be late.
        following = Cat(bit ^ word[:index].all() for index, bit in enumerate(word))
        with m.If(self.i_valid):
            m.d.sync += word.eq(Mux(word == self.words - 1, 0, following))
        return word


def _packed(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)
