"""Words are split and gathered in order, under stalls, at the stated rates."""

import pytest

from rtl_gen.stream import Gatherer, Splitter
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


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.6, 0.6)])
@pytest.mark.parametrize("parts", [2, 3])
def test_narrow_words_are_gathered_the_first_in_the_low_bits(stalls, parts):
    narrow = [(7 * i + 3) % 16 for i in range(20 * parts)]
    got = transfer(Gatherer(4, parts), narrow, 20, stalls=stalls)
    assert [(w >> (4 * k)) & 15 for w in got.words for k in range(parts)] == narrow


@pytest.mark.parametrize("parts", [2, 3])
def test_gathering_costs_no_cycle(parts):
    got = transfer(Gatherer(4, parts), [0] * (10 * parts), 10)
    assert list(got.accepted) == list(range(10 * parts))
    assert list(got.produced) == [parts * (j + 1) for j in range(10)]


def test_one_part_is_nothing_to_gather():
    with pytest.raises(ValueError, match="at least two parts, not 1"):
        Gatherer(4, 1)
