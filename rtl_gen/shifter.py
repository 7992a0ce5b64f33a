"""Products with weights of a codebook: a power of two shifts, and its sign negates, so nothing is multiplied.

Weights arrive as they are stored, as codes (`qtt_hw.codebook.Codebook`).
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.utils import ceil_log2

from qtt_hw.codebook import Codebook
from rtl_gen.multiplier import SHIFT_LATENCY

__all__ = ["decode", "integer_bits", "shift_levels", "shifted"]


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


def shift_levels(book: Codebook) -> list[int]:
    """Bits of the index by which each cycle shifts: one, so that each bit of the value is one LUT; two where there are
    more than cycles.
    """
    left, found = ceil_log2(book.magnitudes + int(book.zero)), list[int]()
    for level in range(SHIFT_LATENCY, 0, -1):
        found.append(-(-left // level))
        left -= found[-1]
    return found


def shifted(m: Module, x: Value, code: Value, book: Codebook, name: str) -> tuple[Value, Signal]:
    """The product of x and the integer of `code` of `SHIFT_LATENCY` cycles ago, as (value, one more): their sum.

    x is shifted, by the index's low bits first, and negated by inverting all bits and adding the sign. The inversion is
    left to the carry cells of the sum that it goes into, and so is the sign, as the carry that comes into one.

    Parameters
    ----------
    m : Module
        To which the logic is added.
    x : Value
    code : Value, `book.bits` wide
    book : Codebook
    name : str
        Of the shifted value.
    """
    sign, index = _parts(code, book)
    value: Value = Mux(index == 0, 0, x) if book.zero else x
    signs, place = Signal(SHIFT_LATENCY, name=f"{name}_signs"), 0
    m.d.sync += signs.eq(Cat(sign, signs[:-1]))
    for level, bits in enumerate(shift_levels(book)):
        near = value << (index[:bits] << place) if bits else value
        held = Signal(signed(len(x) + (1 << (place + bits))), name=f"{name}_{level}")
        m.d.sync += held.eq(near)
        value, place = held, place + bits
        if len(index) > bits:
            later = Signal(len(index) - bits, name=f"{name}_index_{level}")
            m.d.sync += later.eq(index[bits:])
            index = later
        else:
            index = index[bits:]
    # An index is one more than its exponent where the zero has the lowest.
    moved = (value >> int(book.zero))[: len(x) + book.magnitudes]
    return (moved ^ signs[-1].replicate(len(moved))).as_signed(), signs[-1]
