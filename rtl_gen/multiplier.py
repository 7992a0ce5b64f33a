"""Multipliers: the one place where a product is formed.

A `dsp` multiplier becomes an instance of the module `qtt_multiplier`, of which `primitives/` holds one Verilog model
per target: behavioural for simulators, the DSP block with its registers on for an FPGA family. A `logic` multiplier
adds shifted copies in LUTs, for operands so narrow that a DSP would be wasted. A `shift` lane, for weights that are
powers of two, has no multiplier: see `rtl_gen.shifter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Signal, Value, signed

from rtl_gen.families import Family

__all__ = ["LOGIC_LATENCY", "LaneKind", "latency_of", "multiply", "pieces", "split"]

#: Cycles from operands to product where it is formed in LUTs, by copies or by shifts.
LOGIC_LATENCY = 3

#: How a lane forms its products.
LaneKind = Literal["dsp", "logic", "shift"]


def latency_of(kind: LaneKind, family: Family) -> int:
    """Cycles from operands to product."""
    return family.multiplier.latency if kind == "dsp" else LOGIC_LATENCY


def pieces(bits: int, family: Family) -> int:
    """Multiplier operands that a signed value of this width takes: one signed, the rest unsigned below it."""
    return max(1, -(-(bits - 1) // (family.multiplier.bits - 1)))


def split(value: Value, family: Family) -> Sequence[tuple[int, Value]]:
    """(position, piece) such that value = sum of piece << position; every piece fits a signed DSP operand."""
    bits, count = family.multiplier.bits - 1, pieces(len(value), family)
    parts: list[tuple[int, Value]] = [(i * bits, value[i * bits : (i + 1) * bits]) for i in range(count - 1)]
    return [*parts, ((count - 1) * bits, value[(count - 1) * bits :].as_signed())]


def multiply(
    m: Module, platform: object, a: Value, b: Value, kind: Literal["dsp", "logic"], name: str, family: Family
) -> Signal:
    """The signal a * b of `latency_of(kind, family)` cycles ago, signed, its logic added to `m`.

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
    product = Signal(signed(len(a) + len(b) + 1), name=name)
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
    m.d.comb += [wide_a.eq(a), wide_b.eq(b), product.eq(wide)]
    if platform is None:
        late: Value = wide_a * wide_b
        for age in range(1, family.multiplier.latency):
            held = Signal.like(wide, name=f"{name}_{age}")
            m.d.sync += held.eq(late)
            late = held
        m.d.sync += wide.eq(late)
    else:
        m.submodules[f"{name}_multiplier"] = Instance(
            "qtt_multiplier", i_clk=ClockSignal("sync"), i_a=wide_a, i_b=wide_b, o_p=wide
        )
    return product


def _shift_and_add(m: Module, a: Value, b: Value, product: Signal) -> None:
    """One copy of the wide operand per bit of the narrow one: registered, then added in pairs, then together."""
    operands = sorted((a, b), key=len)
    narrow, wide = (Signal(value.shape(), name=f"{product.name}_{n}") for value, n in zip(operands, "nw", strict=True))
    m.d.sync += [narrow.eq(operands[0]), wide.eq(operands[1])]
    top = len(narrow) - 1
    terms: list[Value] = []
    for i in range(len(narrow)):
        term = Mux(narrow[i], wide << i, 0)
        terms.append(-term if narrow.shape().signed and i == top else term)
    partial: list[Value] = []
    for i in range(0, len(terms), 2):
        total = terms[i] + terms[i + 1] if i + 1 < len(terms) else terms[i]
        held = Signal(Value.cast(total).shape(), name=f"{product.name}_{i // 2}")
        m.d.sync += held.eq(total)
        partial.append(held)
    m.d.sync += product.eq(sum(partial[1:], partial[0]))
