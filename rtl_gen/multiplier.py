"""Multipliers: the one place where a product is formed.

A `dsp` multiplier becomes an instance of the module `qtt_multiplier`, of which `primitives/` holds one Verilog model
per target: behavioural for simulators, the DSP block with its registers on for an FPGA family. A `logic` multiplier
adds shifted copies in LUTs, for operands so narrow that a DSP would be wasted. A `shift` lane, for weights that are
powers of two, has no multiplier: see `rtl_gen.shifter`. A `packed` one forms two products with a `dsp` multiplier: see
`rtl_gen.packing`. Two `dual` ones share a block that can be two multipliers, the module `qtt_multiplier_pair`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from amaranth.hdl import C, ClockSignal, Instance, Module, Mux, Shape, Signal, Value, signed
from amaranth.utils import ceil_log2

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format
from rtl_gen.families import Family
from rtl_gen.packing import SPLIT_LATENCY

__all__ = [
    *("BLOCK_KINDS", "SHIFT_LATENCY", "DualMultipliers", "LaneKind", "latency_of", "logic_latency", "multipliers_of"),
    *("multiply", "pieces", "share_blocks", "split"),
]

#: Cycles from an operand to its product where it is shifted.
SHIFT_LATENCY = 3

#: How a lane forms its products.
LaneKind = Literal["dsp", "packed", "dual", "logic", "shift"]
#: Those whose products are a multiplier block's.
BLOCK_KINDS: tuple[LaneKind, ...] = ("dsp", "packed", "dual")


def logic_latency(bits: int) -> int:
    """Cycles from operands to product in LUTs: the copies for the narrow operand's bits are added in pairs.

    Of one bit there is one copy, or none; more bits than one wait in a register first.
    """
    return 1 if bits == 1 else 1 + ceil_log2(bits)


def latency_of(kind: LaneKind, family: Family, bits: int) -> int:
    """Cycles from operands to product, of which the narrow one has `bits` bits.

    Behind a multiplier block stands a register, since the way from the block to an adder is long. Packed sums take a
    cycle to be split.
    """
    if kind == "shift":
        return SHIFT_LATENCY
    if kind == "logic":
        return logic_latency(bits)
    if kind == "dual":
        assert family.multiplier.dual is not None
        return family.multiplier.dual.latency + 1
    return family.multiplier.latency + 1 + (SPLIT_LATENCY if kind == "packed" else 0)


def pieces(bits: int, family: Family) -> int:
    """Multiplier operands that a signed value of this width takes: one signed, the rest unsigned below it."""
    return max(1, -(-(bits - 1) // (family.multiplier.bits - 1)))


def multipliers_of(kind: LaneKind, products: int, bits: int, family: Family) -> int:
    """Multipliers, in blocks or in LUTs, of so many products a step with weights of so many bits."""
    if kind == "shift":
        return 0
    if kind in ("packed", "dual"):
        return -(-products // 2)
    return products * (pieces(bits, family) if kind == "dsp" else 1)


def share_blocks(x: Format, weight: Format | Codebook, family: Family) -> bool:
    """Whether two products of an input and a weight can share a block that is then two multipliers."""
    return not isinstance(weight, Codebook) and weight.signed and family.multiplier.holds_two(x.bits, weight.bits)


def split(value: Value, family: Family) -> Sequence[tuple[int, Value]]:
    """(position, piece) such that value = sum of piece << position; every piece fits a signed DSP operand."""
    bits, count = family.multiplier.bits - 1, pieces(len(value), family)
    parts: list[tuple[int, Value]] = [(i * bits, value[i * bits : (i + 1) * bits]) for i in range(count - 1)]
    return [*parts, ((count - 1) * bits, value[(count - 1) * bits :].as_signed())]


def multiply(
    m: Module, platform: object, a: Value, b: Value, kind: Literal["dsp", "logic"], name: str, family: Family
) -> Signal:
    """The signal a * b of `latency_of` cycles ago, signed, its logic added to `m`.

    Parameters
    ----------
    m : Module
    platform : object
        None in Amaranth's own simulator, which cannot run instances; the same registers are then described here.
    a, b : Value
        Operands; unsigned ones are extended. At most the multiplier block's signed bits each for a DSP.
    kind : "dsp" or "logic"
    name : str
        Of the product and of the instance.
    family : Family
    """
    product = Signal(signed(len(a) + len(b) + 1), name=name, reset_less=True)
    if kind == "logic":
        _shift_and_add(m, a, b, product)
        return product
    bits = family.multiplier.bits
    for operand, value in (("a", a), ("b", b)):
        shape = value.shape()
        if shape.width + (not shape.signed) > bits:  # an unsigned operand needs a bit more
            raise ValueError(f"operand {operand} of {shape!r} does not fit a signed {bits}-bit multiplier")
    wide_a, wide_b = (Signal(signed(bits), name=f"{name}_{operand}") for operand in "ab")
    wide = Signal(signed(2 * bits), name=f"{name}_p")
    m.d.comb += [wide_a.eq(a), wide_b.eq(b)]
    m.d.sync += product.eq(wide)
    if platform is None:
        _simulated(m, wide_a * wide_b, wide, family.multiplier.latency)
    else:
        m.submodules[f"{name}_multiplier"] = Instance(
            "qtt_multiplier", i_clk=ClockSignal("sync"), i_a=wide_a, i_b=wide_b, o_p=wide
        )
    return product


class DualMultipliers:
    """Multiplier blocks that are two multipliers each: products are asked for one by one, two share a block.

    Parameters
    ----------
    m : Module
    platform : object
        As of `multiply`.
    family : Family
        One whose multiplier can be two.
    """

    def __init__(self, m: Module, platform: object, family: Family):
        assert family.multiplier.dual is not None
        self.m, self.platform, self.primitive = m, platform, family.multiplier.dual
        self._waiting: list[tuple[Signal, Signal, Signal]] = []

    def product(self, a: Value, b: Value, name: str) -> Signal:
        """The signal a * b of `latency_of` cycles ago, of which b is signed; `a` of all products, or of none."""
        bits = self.primitive.bits
        wide_a = Signal(Shape(bits, a.shape().signed), name=f"{name}_a")
        wide_b = Signal(signed(bits), name=f"{name}_b")
        wide = Signal(signed(2 * bits), name=f"{name}_p")
        product = Signal(signed(len(a) + len(b)), name=name, reset_less=True)
        self.m.d.comb += [wide_a.eq(a), wide_b.eq(b)]
        self.m.d.sync += product.eq(wide)
        if self.platform is None:
            _simulated(self.m, wide_a * wide_b, wide, self.primitive.latency)
        else:
            self._waiting.append((wide_a, wide_b, wide))
            if len(self._waiting) == 2:
                self.close()
        return product

    def close(self) -> None:
        """No more products: the block of one that is left over has nothing else to do."""
        if not self._waiting:
            return
        bits, name = self.primitive.bits, self._waiting[0][2].name
        pins: dict[str, object] = {
            "i_a1": C(0, bits),
            "i_b1": C(0, bits),
            "o_p1": Signal(2 * bits, name=f"{name}_idle"),
        }
        for number, (a, b, p) in enumerate(self._waiting):
            pins |= {f"i_a{number}": a, f"i_b{number}": b, f"o_p{number}": p}
        self.m.submodules[f"{name.removesuffix('_p')}_multiplier"] = Instance(
            "qtt_multiplier_pair",
            p_A_SIGNED=C(self._waiting[0][0].shape().signed, 1),
            i_clk=ClockSignal("sync"),
            **pins,
        )
        self._waiting = []


def _simulated(m: Module, product: Value, out: Signal, latency: int) -> None:
    """What a block does, as registers: Amaranth's own simulator runs no instances."""
    for age in range(1, latency):
        held = Signal.like(out, name=f"{out.name}_{age}")
        m.d.sync += held.eq(product)
        product = held
    m.d.sync += out.eq(product)


def _shift_and_add(m: Module, a: Value, b: Value, product: Signal) -> None:
    """One copy of the wide operand per bit of the narrow one, added in pairs, a level a cycle."""
    narrow, wide = sorted((a, b), key=len)
    if len(narrow) == 1:
        value = Mux(narrow[0], wide, 0)
        m.d.sync += product.eq(-value if narrow.shape().signed else value)
        return
    bits, copied = (Signal(v.shape(), name=f"{product.name}_{n}") for v, n in ((narrow, "bits"), (wide, "copied")))
    m.d.sync += [bits.eq(narrow), copied.eq(wide)]
    terms: list[Value] = [Mux(bits[i], copied << i, 0) for i in range(len(bits))]
    negative = bits.shape().signed  # the last of a level is subtracted
    level = 0
    while len(terms) > 1:
        level += 1
        sums: list[Value] = []
        for i in range(0, len(terms), 2):
            pair = terms[i : i + 2]
            if len(pair) == 1:
                total = pair[0]
            else:
                total = pair[0] - pair[1] if negative and i + 2 >= len(terms) else pair[0] + pair[1]
            last = len(terms) <= 2
            held = product if last else Signal(Value.cast(total).shape(), name=f"{product.name}_{level}_{i // 2}")
            m.d.sync += held.eq(total)
            sums.append(held)
        negative = negative and len(terms) % 2 == 1
        terms = sums
