"""Multipliers: the one place where a product is formed, three cycles deep.

A `dsp` multiplier becomes an instance of the module `qtt_multiplier`, of which `primitives/` holds one Verilog model
per target: behavioural for simulators, the DSP block with its registers on for an FPGA family. A `logic` multiplier
adds shifted copies in LUTs, for operands so narrow that a DSP would be wasted. A `shift` lane, for weights that are
powers of two, has no multiplier: see `rtl_gen.shifter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Shape, Signal, Value, signed

__all__ = ["DSP_BITS", "MULTIPLY_LATENCY", "LaneKind", "fits_dsp", "multiply", "pieces", "split"]

#: Cycles from operands to product, for every kind.
MULTIPLY_LATENCY = 3
#: Signed operand width of the DSP block.
DSP_BITS = 18
#: Unsigned bits of one piece of a split operand.
PIECE_BITS = DSP_BITS - 1

#: How a lane forms its products.
LaneKind = Literal["dsp", "logic", "shift"]


def fits_dsp(shape: Shape) -> bool:
    """Whether an operand of this shape fits the DSP block; unsigned ones need a bit more."""
    return shape.width + (not shape.signed) <= DSP_BITS


def pieces(bits: int) -> int:
    """Multiplier operands that a signed value of this width takes: one signed, the rest unsigned below it."""
    return max(1, -(-(bits - 1) // PIECE_BITS))


def split(value: Value) -> Sequence[tuple[int, Value]]:
    """(position, piece) such that value = sum of piece << position; every piece fits a signed DSP operand."""
    count = pieces(len(value))
    parts: list[tuple[int, Value]] = [
        (i * PIECE_BITS, value[i * PIECE_BITS : (i + 1) * PIECE_BITS]) for i in range(count - 1)
    ]
    return [*parts, ((count - 1) * PIECE_BITS, value[(count - 1) * PIECE_BITS :].as_signed())]


def multiply(m: Module, platform: object, a: Value, b: Value, kind: Literal["dsp", "logic"], name: str) -> Signal:
    """The signal a * b of three cycles ago, signed, its logic added to `m`.

    Parameters
    ----------
    m : Module
    platform : object
        None in Amaranth's own simulator, which cannot run instances; the same registers are then described here.
    a, b : Value
        Operands; unsigned ones are extended. At most 18 signed bits each for a DSP.
    kind : "dsp" or "logic"
    name : str
        Of the product and of the instance.
    """
    product = Signal(signed(len(a) + len(b) + 1), name=name)
    if kind == "logic":
        _shift_and_add(m, a, b, product)
        return product
    for operand, value in (("a", a), ("b", b)):
        if not fits_dsp(value.shape()):
            raise ValueError(f"operand {operand} of {value.shape()!r} does not fit a signed {DSP_BITS}-bit multiplier")
    wide_a, wide_b = (Signal(signed(DSP_BITS), name=f"{name}_{operand}") for operand in "ab")
    wide = Signal(signed(2 * DSP_BITS), name=f"{name}_p")
    m.d.comb += [wide_a.eq(a), wide_b.eq(b), product.eq(wide)]
    if platform is None:
        held_a, held_b, partial = Signal.like(wide_a), Signal.like(wide_b), Signal.like(wide)
        m.d.sync += [held_a.eq(wide_a), held_b.eq(wide_b), partial.eq(held_a * held_b), wide.eq(partial)]
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
