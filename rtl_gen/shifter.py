"""Products with weights of a codebook: a power of two shifts, and its sign negates, so nothing is multiplied.

Weights arrive as they are stored, as codes (`qtt_hw.codebook.Codebook`).
"""

from __future__ import annotations

from amaranth.hdl import C, Module, Mux, Signal, Value, signed
from amaranth.utils import ceil_log2

from qtt_hw.codebook import Codebook

__all__ = ["decode", "integer_bits", "shift_and_negate"]


def integer_bits(book: Codebook) -> int:
    """Signed bits of a codebook's integers, the greatest of which is 2**(magnitudes - 1)."""
    return book.magnitudes + 1


def _parts(code: Value, book: Codebook) -> tuple[Value, Value]:
    """(sign, index) of a code; the index has the bits that the codebook's magnitudes, and its zero, take."""
    return code[-1], code[: ceil_log2(book.magnitudes + int(book.zero))]


def decode(code: Value, book: Codebook) -> Value:
    """The integer of a code, signed: what a multiplier in place of the shift takes."""
    sign, index = _parts(code, book)
    # The lowest place of a codebook with a zero is the zero's, and falls off.
    size = (C(1, 1) << index)[int(book.zero) :][: book.magnitudes]
    return Mux(sign, -size, size)[: integer_bits(book)].as_signed()


def shift_and_negate(m: Module, x: Value, code: Value, book: Codebook, name: str) -> Signal:
    """The signal x times the integer of `code` of `SHIFT_LATENCY` cycles ago, signed, its logic added to `m`.

    Negated, or made zero, in the first cycle, when it is narrowest; then shifted, by the index's low bits first.

    Parameters
    ----------
    m : Module
    x : Value
    code : Value, `book.bits` wide
    book : Codebook
    name : str
        Of the product.
    """
    sign, index = _parts(code, book)
    low_bits = len(index) - len(index) // 2
    term = Signal(signed(len(x) + 1), name=f"{name}_term")
    places, high = Signal(len(index), name=f"{name}_places"), Signal(len(index) - low_bits, name=f"{name}_high")
    near = Signal(signed(len(x) + (1 << low_bits)), name=f"{name}_near")
    product = Signal(signed(len(x) + book.magnitudes), name=name)
    value = Mux(sign, -x, x)
    m.d.sync += [
        term.eq(Mux(index == 0, 0, value) if book.zero else value),
        places.eq(index),
        near.eq(term << places[:low_bits]),
        high.eq(places[low_bits:]),
        # An index is one more than its exponent where the zero has the lowest.
        product.eq((near << (high << low_bits)) >> int(book.zero)),
    ]
    return product
