"""The splitter hands on every part in order, under stalls."""

import pytest

from rtl_gen.stream import Splitter
from sim.stream import transfer


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.6, 0.6)])
@pytest.mark.parametrize("parts", [2, 3])
def test_parts_low_bits_first(stalls, parts):
    wide = [sum((7 * i + k) % 16 << (4 * k) for k in range(parts)) for i in range(20)]
    got = transfer(Splitter(4, parts), wide, 20 * parts, stalls=stalls)
    assert list(got.words) == [(w >> (4 * k)) & 15 for w in wide for k in range(parts)]


def test_a_word_costs_one_cycle_more_than_its_parts():
    got = transfer(Splitter(4, 3), [0x321] * 5, 15)
    assert [b - a for a, b in zip(got.produced[2::3], got.produced[5::3], strict=False)] == [4] * 4
