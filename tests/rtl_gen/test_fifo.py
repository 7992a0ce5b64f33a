"""Words in order through LUTs and block RAM, exactly as many as the depth, at a word a cycle, in the stated cycles."""

import pytest

from rtl_gen.families import ECP5
from rtl_gen.fifo import Fifo, fifo_latency
from sim.stream import exchange, transfer

DEPTHS = [1, 2, 3, 16, 64, 65, 66, 100]


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.4), (0.1, 0.9)])
@pytest.mark.parametrize("depth", DEPTHS)
def test_words_come_out_in_order(depth, stalls):
    words = [(29 * i + 1) % 512 for i in range(3 * depth + 40)]
    assert list(transfer(Fifo(9, depth, ECP5), words, len(words), stalls=stalls, seed=depth).words) == words


@pytest.mark.parametrize("depth", DEPTHS)
def test_it_holds_as_many_words_as_its_depth(depth):
    fifo = Fifo(9, depth, ECP5)
    with pytest.raises(AssertionError, match=f"hangs after {depth} words in and 0 out"):
        exchange(fifo, [(fifo.i, range(2 * depth))], [(fifo.o, 1)], stalls=(0.0, 1.0), patience=300)


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.3, 0.3), (0.02, 0.9)])
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_word_is_taken_as_soon_as_stated(depth, stalls):
    """accepted[j] >= taken[j - depth] + 1, taken[j] >= accepted[j] + latency, both at once where nobody stalls."""
    words = list(range(3 * depth + 40))
    got = transfer(Fifo(9, depth, ECP5), words, len(words), stalls=stalls, seed=3 * depth)
    latency = fifo_latency(depth, ECP5)
    assert all(out >= taken + latency for taken, out in zip(got.accepted, got.produced, strict=True))
    if stalls[1] == 0.0:
        before = (-1, *got.produced[:-1])
        expected = [max(a + latency, p + 1) for a, p in zip(got.accepted, before, strict=True)]
        assert list(got.produced) == expected
    if stalls[0] == 0.0:
        room = [-1] * depth + [p + 1 for p in got.produced]
        before = (-1, *got.accepted[:-1])
        assert list(got.accepted) == [max(r, a + 1) for r, a in zip(room, before, strict=False)]


def test_a_depth_below_one_is_refused():
    with pytest.raises(ValueError, match="at least one word, not 0"):
        Fifo(9, 0, ECP5)
