"""What a stage does with the words of a step: multiply and add, or take the maximum or the sum.

Every reducer runs free: words with `valid`, `first` and `last` flags go in, and a fixed number of cycles after the
last step of a result the result stands at the output for one cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from amaranth.hdl import C, Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format
from rtl_gen.delay import delay
from rtl_gen.families import Family
from rtl_gen.multiplier import DualMultipliers, LaneKind, latency_of, multiply, pieces, share_blocks, split
from rtl_gen.packing import packing_of
from rtl_gen.shifter import decode, integer_bits, shifted

__all__ = ["MacArray", "PoolReducer", "shape_of"]


def shape_of(fmt: Format) -> Shape:
    """The Amaranth shape of an integer format."""
    return signed(fmt.bits) if fmt.signed else unsigned(fmt.bits)


class _Reducer(wiring.Component):
    latency: int

    def __init__(self, members: dict[str, wiring.Member], results: int, result: Shape):
        super().__init__(
            {
                **members,
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "o": Out(data.ArrayLayout(result, results)),
                "o_valid": Out(1),
            }
        )


class MacArray(_Reducer):
    """o[p * carry + t] = sum over steps and s of weights[p * simd + s] * x[s * carry + t], for p < pe, t < carry.

    Of groups o[t * pe + p] = sum of weights[(t * pe + p) * simd + s] * x[t * simd + s].

    Parameters
    ----------
    x : Format
        Of the input lanes.
    weight : Format or Codebook
        Of the weights, which arrive as the codes of a codebook.
    simd, pe, carry : int
        Parallel inputs of a sum, parallel results, and parallel carried indices, which share the weights; or groups.
    grouped : bool
        `carry` are groups, which have weights of their own.
    accumulator : int
        Signed bits that hold every partial sum.
    kind : "dsp", "packed", "dual", "logic" or "shift"
        How a product is formed; codes are decoded in front of a multiplier, and packed weights arrive as
        `rtl_gen.packing` stores them.
    family : Family
    """

    def __init__(
        self,
        x: Format,
        weight: Format | Codebook,
        *,
        simd: int,
        pe: int,
        carry: int = 1,
        grouped: bool = False,
        accumulator: int,
        kind: LaneKind,
        family: Family,
    ):
        if kind == "shift" and not isinstance(weight, Codebook):
            raise ValueError("lanes that shift need weights of a codebook")
        self.packing = packing_of(x, weight, family.multiplier.bits) if kind == "packed" else None
        if kind == "packed" and (pe % 2 or self.packing is None):
            raise ValueError(f"{weight} weights of {pe} results cannot share multipliers in pairs")
        if kind == "dual" and not share_blocks(x, weight, family):
            raise ValueError(f"products of {x} and {weight} cannot share a multiplier of {family.title}")
        self.x_format, self.weight_format, self.kind = x, weight, kind
        self.simd, self.pe, self.carry, self.grouped = simd, pe, carry, grouped
        self._own = pe * (carry if grouped else 1)  # results that have weights of their own
        self.accumulator, self.family = accumulator, family
        bits = integer_bits(weight) if isinstance(weight, Codebook) else weight.bits
        self.latency = latency_of(kind, family, min(x.bits, bits)) + ceil_log2(simd) + 1
        stored = unsigned(weight.bits) if isinstance(weight, Codebook) else shape_of(weight)
        super().__init__(
            {
                "x": In(data.ArrayLayout(shape_of(x), simd * carry)),
                "weights": In(data.ArrayLayout(stored, self._own * simd)),
            },
            pe * carry,
            signed(accumulator),
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        before = delay(m, Cat(self.valid, self.first, self.last), self.latency - 2, "flags")
        flags = delay(m, before, 1, "flags_late")
        weights = [self._weight(m, index) for index in range(self._own * self.simd)]
        self._dual = DualMultipliers(m, platform, self.family) if self.kind == "dual" else None
        for p in range(0, self.pe, 2 if self.packing else 1):
            for t in range(self.carry):
                carry: Value | None = None
                if self.kind == "shift":
                    total, carry = self._shifted_sum(m, weights, p, t)
                    sums = [total]
                else:
                    sums = (self._packed_sums if self.packing else self._sums)(m, platform, weights, p, t)
                for number, total in enumerate(sums):
                    result = self._result(p + number, t)
                    # What a step adds to is 0 before a result's first, so that no choice stands in front of the sum.
                    accumulator, added = (
                        Signal(signed(self.accumulator), name=f"{name}_{result}") for name in ("accumulator", "added")
                    )
                    m.d.comb += added.eq(accumulator + total if carry is None else _sum(accumulator, total, carry))
                    with m.If(flags[0]):
                        m.d.sync += [accumulator.eq(added), self.o[result].eq(added)]
                    with m.If(before[1]):
                        m.d.sync += accumulator.eq(0)
        if self._dual is not None:
            self._dual.close()
        m.d.sync += self.o_valid.eq(flags[0] & flags[2])
        return m

    def _result(self, p: int, t: int) -> int:
        return t * self.pe + p if self.grouped else p * self.carry + t

    def _input(self, s: int, t: int) -> Value:
        return self.x[t * self.simd + s if self.grouped else s * self.carry + t]

    def _place(self, p: int, t: int, s: int) -> int:
        """Of a lane's weight."""
        return (self._result(p, t) if self.grouped else p) * self.simd + s

    def _sums(self, m: Module, platform: object, weights: Sequence[Value], p: int, t: int) -> list[Value]:
        """The sum of a step's products for one result."""
        result = self._result(p, t)
        lanes = [
            self._product(m, platform, self._input(s, t), weights[self._place(p, t, s)], f"lane_{result}_{s}")
            for s in range(self.simd)
        ]
        return _tree(m, lanes, ceil_log2(self.simd), f"tree_{result}")

    def _shifted_sum(self, m: Module, weights: Sequence[Value], p: int, t: int) -> tuple[Value, Value]:
        """The same of lanes that shift, as a value and one more: a sum takes the one of its first summand."""
        assert isinstance(self.weight_format, Codebook)
        result = self._result(p, t)
        lanes: list[tuple[Value, Value]] = [
            shifted(m, self._input(s, t), weights[self._place(p, t, s)], self.weight_format, f"lane_{result}_{s}")
            for s in range(self.simd)
        ]
        for depth in range(1, ceil_log2(self.simd) + 1):
            sums: list[tuple[Value, Value]] = []
            for index in range(0, len(lanes), 2):
                (value, carry), *other = lanes[index : index + 2]
                if other:
                    value, carry = _sum(value, other[0][0], carry), other[0][1]
                held = Signal(value.shape(), name=f"tree_{result}_{depth}_{index // 2}")
                one = Signal(name=f"carry_{result}_{depth}_{index // 2}")
                m.d.sync += [held.eq(value), one.eq(carry)]
                sums.append((held, one))
            lanes = sums
        return lanes[0]

    def _packed_sums(self, m: Module, platform: object, weights: Sequence[Value], p: int, t: int) -> list[Value]:
        """The sums of a step's products for two results, whose weights share an operand: p's is the low one."""
        assert self.packing is not None
        result, levels = self._result(p, t), min(self.packing.levels, ceil_log2(self.simd))
        lanes = []
        for s in range(self.simd):
            operand = self.packing.operand(weights[self._place(p, t, s)], weights[self._place(p + 1, t, s)])
            lanes.append(multiply(m, platform, self._input(s, t), operand, "dsp", f"lane_{result}_{s}", self.family))
        packed = _tree(m, lanes, levels, f"tree_{result}")
        pairs = [self.packing.split(m, value, f"part_{result}_{k}") for k, value in enumerate(packed)]
        more = ceil_log2(self.simd) - levels
        return [_tree(m, [pair[k] for pair in pairs], more, f"tree_{result}_{k}")[0] for k in range(2)]

    def _weight(self, m: Module, index: int) -> Value:
        """What a lane takes of a weight: a multiplier its integer, once for all carried indices."""
        stored, book = self.weights[index], self.weight_format
        if self.kind == "shift" or not isinstance(book, Codebook):
            return stored
        weight = Signal(signed(integer_bits(book)), name=f"weight_{index}")
        m.d.comb += weight.eq(decode(stored, book))
        return weight

    def _product(self, m: Module, platform: object, x: Value, weight: Value, name: str) -> Signal:
        if self._dual is not None:
            return self._dual.product(x, weight, name)
        if self.kind == "logic" or pieces(len(weight), self.family) == 1:
            kind: Literal["dsp", "logic"] = "logic" if self.kind == "logic" else "dsp"
            return multiply(m, platform, x, weight, kind, name, self.family)
        # The integers of the widest codes take several multipliers, whose products are added where they are used.
        product = Signal(signed(len(x) + len(weight) + 1), name=name)
        parts = [
            multiply(m, platform, x, piece, "dsp", f"{name}_{number}", self.family) << place
            for number, (place, piece) in enumerate(split(weight, self.family))
        ]
        m.d.comb += product.eq(sum(parts[1:], parts[0]))
        return product


def _sum(a: Value, b: Value, carry: Value) -> Value:
    """a + b + carry, signed, in one chain of carry cells: their lowest makes the carry."""
    return (Cat(C(1, 1), a).as_signed() + Cat(carry, b).as_signed())[1:].as_signed()


def _tree(m: Module, values: Sequence[Value], levels: int, name: str) -> list[Value]:
    """Sums of 2**levels values each, added in pairs, a level a cycle."""
    level = list(values)
    for depth in range(1, levels + 1):
        sums: list[Value] = []
        for index in range(0, len(level), 2):
            pair = level[index : index + 2]
            total = pair[0] + pair[1] if len(pair) == 2 else pair[0]
            held = Signal(Value.cast(total).shape(), name=f"{name}_{depth}_{index // 2}")
            m.d.sync += held.eq(total)
            sums.append(held)
        level = sums
    return level


class PoolReducer(_Reducer):
    """o[s] = max or sum over steps of x[s].

    Parameters
    ----------
    x : Format
    lanes : int
        Parallel channels.
    kind : "max" or "sum"
    accumulator : int
        Bits of the result; the input's for a maximum.
    """

    def __init__(self, x: Format, *, lanes: int, kind: Literal["max", "sum"], accumulator: Shape):
        self.x_format, self.lanes, self.kind, self.accumulator = x, lanes, kind, accumulator
        self.latency = 1
        super().__init__({"x": In(data.ArrayLayout(shape_of(x), lanes))}, lanes, accumulator)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for s in range(self.lanes):
            best = Signal(self.accumulator, name=f"best_{s}")
            x = Signal(shape_of(self.x_format), name=f"x_{s}")
            m.d.comb += [x.eq(self.x[s]), self.o[s].eq(best)]
            with m.If(self.valid):
                if self.kind == "max":
                    m.d.sync += best.eq(Mux(self.first | (x > best), x, best))
                else:
                    m.d.sync += best.eq(Mux(self.first, 0, best) + x)
        m.d.sync += self.o_valid.eq(self.valid & self.last)
        return m
