"""Requantisation of sums that are floats, and of integers in place, is what the definition gives, at every edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph.requantize import FloatRequantizer, float_type, integer_type, requantized, shifted_type

formats = st.builds(lambda bits, signed: Format(bits + signed, signed, 0), st.integers(1, 15), st.booleans())


def around(*values: int) -> list[int]:
    """Each value and its neighbours."""
    return [value + more for value in values for more in (-1, 0, 1)]


def test_types_hold_what_they_are_chosen_for() -> None:
    assert float_type(0, -(1 << 24)) is np.float32 and float_type((1 << 24) + 1) is np.float64
    assert float_type(-(1 << 53)) is np.float64 and float_type((1 << 53) + 1) is None
    assert integer_type(-(1 << 31), (1 << 31) - 1) is np.int32
    assert integer_type(1 << 31) is integer_type(-(1 << 31) - 1) is np.int64


@given(st.data(), formats, st.integers(0, 40), st.integers(1, 34), st.integers(1, 52), st.integers(1, 24))
def test_floats_give_what_the_definition_does(
    data: st.DataObject, out: Format, shift: int, m_bits: int, b_bits: int, bits: int
) -> None:
    """On sums at the ends, and on both sides of where a result changes, or saturates."""
    channels = data.draw(st.integers(1, 3))
    m, b = (
        tuple(data.draw(st.integers(-(1 << n) + 1, (1 << n) - 1)) for _ in range(channels)) for n in (m_bits, b_bits)
    )
    requant, most = Requantizer(out, shift, m, b), 1 << bits
    low, high = -most, most
    given_ = [*around(low + 1, 0, high - 1), *data.draw(st.lists(st.integers(low, high), max_size=5))]
    for factor, offset in zip(m, b, strict=True):
        for result in (out.minimum, out.maximum, 0, 1):  # where the sum comes to a half below the result
            if factor:
                exact = ((result << shift) - ((1 << shift) >> 1) - offset) // factor
                given_ += [value for value in around(exact) if low <= value <= high]
    acc = np.array(given_, np.int64)[:, None].repeat(channels, axis=1)
    found, floats = np.empty(acc.shape, np.int32), FloatRequantizer(requant, low, high)
    floats(acc.astype(float_type(low, high)), found, floats.work(acc.size))
    assert np.array_equal(found, requant(acc))


@pytest.mark.parametrize(
    "m, b, shift, dtype",
    [
        (1 << 4, 0, 0, np.float32),
        (1 << 4, 1 << 5, 0, np.float64),
        (1 << 14, 0, 3, np.float64),
        (1 << 33, 0, 0, np.float64),
        (1 << 33, 1 << 33, 0, None),
    ],
)
def test_the_type_is_the_narrowest_that_is_exact(m: int, b: int, shift: int, dtype: type | None) -> None:
    """At the bounds themselves: sums of 2**20 times m, plus b, are 2**24 or 2**53, or one step above."""
    requant, most = Requantizer(Format(8, True, 0), shift, (m,), (b,)), 1 << 20
    floats = FloatRequantizer(requant, -most, most)
    assert floats.dtype is dtype
    acc = np.array(around(-most + 1, 0, most - 1))[:, None]
    found = np.empty(acc.shape, np.int32)
    floats(acc.astype(np.float32), found, floats.work(acc.size))
    assert np.array_equal(found, requant(acc))


@given(formats, st.integers(-20, 40), st.lists(st.integers(-(1 << 31), 1 << 31), min_size=1, max_size=20))
def test_without_a_multiplier_floats_and_integers_give_what_the_definition_does(
    out: Format, shift: int, sums: list[int]
) -> None:
    requant, acc = Requantizer(out, shift), np.array([sums], np.int64)
    low, high = min(*sums, 0), max(*sums, 0)
    floats, found = FloatRequantizer(requant, low, high), np.empty(acc.shape, np.int32)
    floats(acc.astype(float_type(low, high)), found, floats.work(acc.size))
    assert np.array_equal(found, requant(acc))
    assert np.array_equal(requantized(requant, acc.astype(shifted_type(requant, low, high))), requant(acc))
