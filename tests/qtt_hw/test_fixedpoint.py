"""Formats, rounding, requantisers and bounds against exact rational arithmetic."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from qtt_hw.fixedpoint import (
    MULTIPLIER_BITS,
    OFFSET_BITS,
    Format,
    Requantizer,
    accumulator_range,
    average_requantizer,
    bits_for_range,
    fold_batch_norm,
    quantize,
    round_half_up,
    round_shift,
)


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


@st.composite
def formats(draw: st.DrawFn, most: int = 16) -> Format:
    signed = draw(st.booleans())
    narrow = signed and draw(st.booleans())
    return Format(draw(st.integers(2 if signed else 1, most)), signed, draw(st.integers(-8, 16)), narrow)


def test_ranges() -> None:
    assert (Format(8, True, 0).minimum, Format(8, True, 0).maximum) == (-128, 127)
    assert (Format(8, True, 0, narrow=True).minimum, Format(8, True, 0, narrow=True).maximum) == (-127, 127)
    assert (Format(8, False, 0).minimum, Format(8, False, 0).maximum) == (0, 255)
    assert (Format(1, False, 0).minimum, Format(1, False, 0).maximum) == (0, 1)
    assert (Format(2, True, 0, narrow=True).minimum, Format(2, True, 0, narrow=True).maximum) == (-1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, False, 0), "bit width must be 1 to 16, got 0"),
        ((17, True, 0), "bit width must be 1 to 16, got 17"),
        ((1, True, 0), "at least 2 bits, got 1"),
        ((4, False, 0, True), "narrow range is only defined for signed"),
        ((4, True, 65), "frac must be -64 to 64, got 65"),
    ],
)
def test_impossible_formats(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Format(*arguments)


def test_contains_and_saturate_agree() -> None:
    fmt = Format(4, True, 0, narrow=True)
    x = np.arange(-20, 21)
    inside = fmt.saturate(x) == x
    assert [fmt.contains(x[i : i + 1]) for i in range(len(x))] == inside.tolist()
    assert inside.sum() == 15


@given(st.floats(-1e6, 1e6), formats())
def test_quantize_is_exact_half_up_in_numpy_and_torch(value: float, fmt: Format) -> None:
    expected = min(max(half_up(Fraction(value) * Fraction(2) ** fmt.frac), fmt.minimum), fmt.maximum)
    assert quantize(np.array([value]), fmt).tolist() == [expected]
    assert quantize(torch.tensor([value], dtype=torch.float64), fmt).tolist() == [expected]


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(float(np.nextafter(0.5, 0.0)))
@example(float(np.nextafter(-0.5, -1.0)))
@example(2.0**52 + 1)
@example(-(2.0**52) - 1)
@example(2.0**53 - 1)
@example(-5e-324)
def test_rounding_is_exact_for_every_float64(value: float) -> None:
    expected = half_up(Fraction(value))
    assert int(round_half_up(value)) == int(round_half_up(np.array([value]))[0]) == expected
    assert int(round_half_up(torch.tensor([value], dtype=torch.float64))[0]) == expected


def test_rounding_keeps_what_is_no_number() -> None:
    values = [math.inf, -math.inf, math.nan]
    assert np.array_equal(round_half_up(np.array(values)), values, equal_nan=True)
    assert np.array_equal(round_half_up(torch.tensor(values, dtype=torch.float64)).numpy(), values, equal_nan=True)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-64, 64))
@example(float(np.nextafter(np.float32(0.5), np.float32(0))), 0)
@example(2.0**24 - 1, 29)
def test_what_training_rounds_is_rounded_as_it_always_was(value: float, frac: int) -> None:
    """Weights are float32 times a power of two, for which the sum with 1/2 loses nothing that counts."""
    scaled = np.float64(value) * 2.0**frac
    assert round_half_up(scaled) == np.floor(scaled + 0.5)


@given(st.floats(-(2.0**60), 2.0**60) | st.integers(2**52, 2**53).map(float))
@example(float(np.nextafter(0.5, 0.0)))
def test_the_sum_with_a_half_is_wrong_only_where_it_is_said_to_be(value: float) -> None:
    odd = 2.0**52 <= abs(value) < 2.0**53 and int(value) % 2 == 1
    assert (round_half_up(value) != np.floor(value + 0.5)) == (odd or value == 0.5 - 2.0**-54)


@pytest.mark.parametrize("values", [np.float32(0.5), np.array([1, 2]), torch.tensor([0.5]), torch.tensor([1])])
def test_rounding_of_other_types_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="^rounding half up takes float64, got (torch.)?(float32|int64)$"):
        round_half_up(values)


@given(st.integers(-(2**40), 2**40), st.integers(-10, 30))
def test_round_shift(value: int, shift: int) -> None:
    expected = half_up(Fraction(value) / Fraction(2) ** shift)
    assert round_shift(np.array([value]), shift).tolist() == [expected]
    assert round_shift(torch.tensor([value]), shift).tolist() == [expected]


@given(st.integers(-(2**30), 0), st.integers(0, 2**30))
def test_bits_for_a_range_around_zero_is_least(low: int, high: int) -> None:
    bits = bits_for_range(low, high)
    assert -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)
    assert bits == 1 or not (-(2 ** (bits - 2)) <= low and high < 2 ** (bits - 2))


@given(st.lists(st.integers(-7, 7), min_size=1, max_size=5), formats(4))
def test_accumulator_range_is_reached_and_never_left(weights: list[int], fmt: Format) -> None:
    low, high = accumulator_range(np.array([weights]), fmt)
    extremes = [sorted((w * fmt.minimum, w * fmt.maximum)) for w in weights]
    assert low == min(sum(e[0] for e in extremes), 0) and high == max(sum(e[1] for e in extremes), 0)
    # Skipped inputs count as zero, which every format but none excludes.
    assert low <= sum(min(e[0], 0) for e in extremes) and sum(max(e[1], 0) for e in extremes) <= high


@given(
    st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=4),
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 40),
    formats(),
)
def test_requantizer_is_one_rounding_of_the_exact_map(acc: list[int], m: int, b: int, s: int, out: Format) -> None:
    requant = Requantizer(out, s, (m,), (b,))
    expected = [min(max(half_up(Fraction(a * m + b, 2**s)), out.minimum), out.maximum) for a in acc]
    assert requant(np.array(acc)[:, None]).ravel().tolist() == expected
    given_rows = requant(torch.tensor(acc), torch.tensor(m), torch.tensor(b))
    assert given_rows.tolist() == expected
    low, high = requant.product_range(min(acc), max(acc))
    half = 1 << (s - 1) if s else 0
    assert all(low <= a * m + b + half <= high for a in acc)


@given(st.integers(-(2**30), 2**30), st.integers(-20, 40), formats())
def test_plain_requantizer_shifts(acc: int, s: int, out: Format) -> None:
    requant = Requantizer(out, s)
    assert not requant.affine
    expected = min(max(half_up(Fraction(acc) / Fraction(2) ** s), out.minimum), out.maximum)
    assert requant(np.array([acc])).tolist() == [expected]
    low, high = requant.product_range(acc, acc)
    assert low <= (acc << max(-s, 0)) <= high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, (1,), None), "multiplier and offset come together"),
        ((3, (1, 2), (0,)), "2 multipliers but 1 offsets"),
        ((-1, (1,), (0,)), "cannot shift left, got shift -1"),
        ((63,), r"steps of 2..-63 and .* of 2..0, 2..63 times as large, 2..62 times are the most; .* up"),
        ((-33,), r"steps of 2..33 and .* of 2..0, 2..33 times as small, 2..32 times are the most; .* down"),
        ((3, (1 << 34,), (0,)), "multiplier.0. = 17179869184 does not fit 35 signed bits"),
        ((3, (1,), (1 << 52,)), "offset.0. = 4503599627370496 does not fit 53 signed bits"),
    ],
)
def test_impossible_requantizers(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Requantizer(Format(8, True, 0), *arguments)


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-500, 500)), min_size=1, max_size=4),
    st.integers(0, 12),
    formats(8),
)
def test_folded_batch_norm_is_the_most_precise_that_fits(
    rows: list[tuple[float, float]], acc_frac: int, out: Format
) -> None:
    slope, intercept = np.array(rows).T
    try:
        requant = fold_batch_norm(slope, intercept, acc_frac, out)
    except ValueError as error:
        assert "is the most" in str(error)
        assert max(abs(slope)) * 2.0 ** (out.frac - acc_frac) > 2**14 or max(abs(intercept)) * 2.0**out.frac > 2**30
        return
    m_limit, b_limit = 2 ** (MULTIPLIER_BITS - 1) - 1, 2 ** (OFFSET_BITS - 1) - 1

    def scaled(shift: int) -> tuple[list[int], list[int]]:
        m = [half_up(Fraction(v) * Fraction(2) ** (out.frac - acc_frac + shift)) for v in slope]
        b = [half_up(Fraction(v) * Fraction(2) ** (out.frac + shift)) for v in intercept]
        return m, b

    m, b = scaled(requant.shift)
    assert (list(requant.multiplier or ()), list(requant.offset or ())) == (m, b)
    if requant.shift < 40:
        m, b = scaled(requant.shift + 1)
        assert max(map(abs, m)) > m_limit or max(map(abs, b)) > b_limit


@pytest.mark.parametrize(
    ("slopes", "intercepts", "acc_frac", "sums", "message"),
    [
        ([1.0, 1e9], [0.0, 0.0], 0, None, r"^channel 1 is multiplied by 1e\+09 \(gamma .*, and 3.28e\+04 is"),
        ([1.0, 1.0], [0.0, -3e9], 0, None, r"^-3e\+09 is added to channel 1 .*, and 2.15e\+09 is .*; lower"),
        ([1.0, np.nan], [0.0, 0.0], 0, None, "^the batch norm or bias of channel 1 is not finite: training"),
        ([1.0, 1.0], [0.0, np.inf], 0, None, "^the batch norm or bias of channel 1 is not finite: training"),
        # A codebook's wide sums: too wide; a multiplier that an offset, or the shift's own limit, leaves few bits.
        ([1.1], [0.0], 0, (-(1 << 50), 1 << 50), "^its sums need 5[4-9] bits, 53 are exact; use fewer weight bits"),
        ([1.1], [2.0**49], 0, (-9, 9), r"^5.63e\+14 is added to channel 0 .*, so much .* fewer than 6 bits"),
        ([1.0], [0.0], 60, (-9, 9), r"keeps fewer than 6 bits, since its .* steps of 2\*\*-60 .* fewer"),
    ],
)
def test_a_batch_norm_that_cannot_be_held_says_what_to_change(
    slopes: list[float], intercepts: list[float], acc_frac: int, sums: tuple[int, int] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        fold_batch_norm(np.array(slopes), np.array(intercepts), acc_frac, Format(8, True, 0), sums)
    assert "multiplier and a" not in str(refused.value) and "\n" not in str(refused.value)


@given(
    st.lists(st.tuples(st.floats(0.05, 5), st.floats(-9, 9)), min_size=1, max_size=4),
    st.integers(8, 44),
    st.integers(4, 47),
    formats(8),
)
def test_batch_norm_on_wide_sums_is_the_most_precise_within_53_bits(
    rows: list[tuple[float, float]], acc_frac: int, width: int, out: Format
) -> None:
    slope, intercept = np.array(rows).T
    sums = (-(1 << (width - 1)), (1 << (width - 1)) - 1)

    def exact(shift: int) -> list[Fraction]:
        return [Fraction(v) * Fraction(2) ** (out.frac - acc_frac + shift) for v in slope]

    def fitting(shift: int) -> tuple[list[int], list[int]] | None:
        """m and b where both, and the sum, fit."""
        m = [half_up(v) for v in exact(shift)]
        b = [half_up(Fraction(v) * Fraction(2) ** (out.frac + shift)) for v in intercept]
        if max(map(abs, m)) >= 1 << 15 or max(map(abs, b)) >= 1 << 52:
            return None
        total = Requantizer(out, shift, tuple(m), tuple(b)).product_range(*sums)
        return (m, b) if bits_for_range(*total) <= 53 else None

    try:
        requant = fold_batch_norm(slope, intercept, acc_frac, out, sums)
    except ValueError as error:
        assert any(
            text in str(error) for text in ("53 are exact; use fewer weight bits", "is the most", "fewer than 6")
        )
        found = [fitting(shift) for shift in range(53)]
        assert not any(pair is not None and max(map(abs, pair[0])) >= 64 for pair in found)
        return
    assert fitting(requant.shift) == (list(requant.multiplier or ()), list(requant.offset or ()))
    assert requant.shift == 52 or fitting(requant.shift + 1) is None
    wanted = exact(requant.shift)
    assert max(abs(m - w) for m, w in zip(requant.multipliers.tolist(), wanted, strict=True)) <= max(wanted) / 64


@pytest.mark.parametrize(("fmt", "counts"), [(Format(8, False, 0), (27, 18, 12, 8)), (Format(5, True, 2), (1, 3, 7))])
def test_average_is_exact_for_every_sum(fmt: Format, counts: tuple[int, ...]) -> None:
    requant = average_requantizer(fmt, counts)
    for row, n in enumerate(counts):
        sums = np.arange(fmt.minimum * n, fmt.maximum * n + 1)
        result = requant(sums, requant.multipliers[row], requant.offsets[row])
        assert result.tolist() == [half_up(Fraction(int(s), n)) for s in sums]


def searched_average(x: Format, counts: tuple[int, ...]) -> tuple[int, list[int], list[int]]:
    """(shift, m, b) of the least shift, by trying every sum of every count at every shift."""
    for shift in range(64 - x.bits):
        m = [((1 << shift) + n - 1) // n for n in counts]
        b = []
        for n, factor in zip(counts, m, strict=True):
            sums = np.arange(x.minimum * n, x.maximum * n + 1, dtype=np.int64)
            exact = (2 * sums + n) // (2 * n)
            product = sums * factor + ((1 << shift) >> 1)
            low = int(((exact << shift) - product).max())
            high = int((((exact + 1) << shift) - 1 - product).min())
            if low > high:
                break
            b.append(min(max(0, low), high))
        else:
            return shift, m, b
    raise AssertionError("every mean of so few bits has an exact reciprocal")


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("unsigned", 1), *((kind, bits) for kind in ("unsigned", "signed", "narrow") for bits in (2, 3, 5, 8, 10))],
)
def test_average_is_that_of_the_search_over_every_sum(kind: str, bits: int) -> None:
    fmt = Format(bits, kind != "unsigned", 0, narrow=kind == "narrow")
    several = [(27, 18, 12, 8), (9, 6, 4), (100, 1), (64, 48, 36), (2, 3, 5, 7, 11)]
    for counts in [*((n,) for n in range(1, 20)), *several]:
        wanted = searched_average(fmt, counts)
        found = average_requantizer(fmt, counts)
        assert wanted == (found.shift, list(found.multiplier or ()), list(found.offset or ())), counts


def test_average_over_a_large_map_looks_at_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "arange", None)
    assert average_requantizer(Format(8, False, 0), (32**3, 16**3)).shift == 15


@pytest.mark.parametrize("values", [100, 20 * 20, 31 * 31, 8 * 7 * 7, 10**3, 13**3, 30**3])
def test_average_of_widest_values_over_a_map(values: int) -> None:
    """As of results, which have 16 bits."""
    requant = average_requantizer(Format(16, True, 0), (values,))
    rng = np.random.default_rng(values)
    least, most = -(1 << 15) * values, ((1 << 15) - 1) * values
    middles = rng.integers(-(1 << 15), 1 << 15, 20000) * values - values // 2  # where the mean's rounding changes
    others = rng.integers(least, most + 1, 20000)
    sums = np.clip(np.concatenate([middles, middles - 1, others, [least, most]]), least, most)
    assert np.array_equal(requant(sums[:, None])[:, 0], (2 * sums + values) // (2 * values))


def test_average_refuses_a_map_that_is_too_large() -> None:
    with pytest.raises(ValueError, match="a mean of 125000 values of 16 bits has no exact reciprocal of 35 bits"):
        average_requantizer(Format(16, True, 0), (50**3,))


def test_average_refuses_what_has_no_taps() -> None:
    with pytest.raises(ValueError, match="at least one valid tap, got 0"):
        average_requantizer(Format(8, True, 0), (0,))


def test_a_range_wider_than_int64_is_not_wrapped() -> None:
    weight = np.full((1, 1 << 17), 1 << 31, dtype=np.int64)
    assert accumulator_range(weight, Format(16, False, 0)) == (0, (1 << 48) * ((1 << 16) - 1))
    assert accumulator_range(-weight, Format(16, True, 0)) == (-(1 << 48) * ((1 << 15) - 1), (1 << 48) * (1 << 15))
