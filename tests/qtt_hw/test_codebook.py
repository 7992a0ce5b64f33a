"""Codebooks of powers of two: codes, bounds, and the nearest power against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.codebook import Codebook


@st.composite
def codebooks(draw: st.DrawFn) -> Codebook:
    bits, zero = draw(st.integers(2, 6)), draw(st.booleans())
    magnitudes = draw(st.integers(1, (1 << (bits - 1)) - zero))
    return Codebook(bits, magnitudes, zero, draw(st.integers(-4, 12)))


@given(codebooks())
def test_every_code_of_a_codebook_is_one_value(book: Codebook) -> None:
    values = [s << e for e in range(book.magnitudes) for s in (1, -1)] + [0] * book.zero
    integers = np.array(values)
    codes = book.encode(integers)
    assert len(set(codes.tolist())) == len(values) and codes.min() >= 0 and codes.max() < 1 << book.bits
    assert np.array_equal(book.decode(codes), integers) and book.contains(integers)
    assert (book.minimum, book.maximum) == (integers.min(), integers.max()) if book.magnitudes else True
    assert not book.contains(np.array([book.maximum * 2])) and book.contains(np.array([0])) == book.zero


@given(codebooks(), st.floats(-(2.0**12), 2.0**12), st.sampled_from([0.5, 0.75]))
def test_a_power_of_two_is_the_published_one(book: Codebook, value: float, zero_below: float) -> None:
    size = Fraction(abs(value)) * Fraction(2) ** book.frac
    fits = [k for k in range(book.magnitudes) if Fraction(3, 4) * 2**k <= size < Fraction(3, 2) * 2**k]
    expected = 1 << fits[0] if fits else (1 << (book.magnitudes - 1) if size > 1 else 1)
    if book.zero and size < Fraction(zero_below):
        expected = 0
    expected = -expected if value < 0 else expected
    assert float(book.quantize(np.float64(value), zero_below)) == expected
    assert book.quantize(torch.tensor(value, dtype=torch.float64), zero_below).item() == expected
    assert book.contains(np.array([expected]))


def test_codebooks_that_use_every_code() -> None:
    assert Codebook.of_top(3, False, 0) == Codebook(3, 4, False, 3)
    assert Codebook.of_top(3, True, 0) == Codebook(3, 3, True, 2)
    for bits in range(2, 7):
        for zero in (False, True):
            book = Codebook.of_top(bits, zero, -2)
            assert book.top == -2 and book.maximum * 2.0**-book.frac == 0.25
            assert 2 * book.magnitudes + zero == (1 << bits) - zero


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((1, 1, False, 0), "codebook bits must be 2 to 6, got 1"),
        ((7, 1, False, 0), "codebook bits must be 2 to 6, got 7"),
        ((3, 4, True, 0), "codes of 3 bits hold 1 to 3 magnitudes, got 4"),
        ((3, 3, True, 65), r"reach down to 2\*\*-65, 2\*\*-64 is the least; use fewer weight bits"),
    ],
)
def test_impossible_codebooks(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Codebook(*arguments)
