"""Periods are proven, not guessed: systems of maxima and sums against what they do in the long run."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl_gen import period
from rtl_gen.period import NEVER, NotPeriodic, find_period


class Linear:
    """x(n+1)[i] = max over j of weight[i, j] + x(n)[j]; inference n ends at x(n)[0]."""

    def __init__(self, weight, start=None):
        self.weight, self.steps = np.array(weight, dtype=np.int64), 0
        self.x = np.zeros(len(self.weight), dtype=np.int64) if start is None else np.array(start)

    def step(self):
        self.x, self.steps = np.maximum((self.weight + self.x).max(axis=1), NEVER), self.steps + 1
        return int(self.x[0])

    def state(self):
        return self.x.copy()

    def attempt(self, state):
        self.x = state.copy()

    def resume(self, state):
        self.x = state.copy()


def ends(weight, count):
    model = Linear(weight)
    return [model.step() for _ in range(count)]


@st.composite
def systems(draw):
    """Everything feeds back, as buffers have ends; some weights are so small that they matter late or never."""
    size = draw(st.integers(1, 5))
    weight = draw(st.lists(st.lists(st.sampled_from([NEVER, -60, -7, 0, 3, 8, 9]), min_size=size, max_size=size),
                           min_size=size, max_size=size))  # fmt: skip
    for i in range(size):
        weight[i][(i + 1) % size] = max(weight[i][(i + 1) % size], -90)
        weight[0][i] = max(weight[0][i], -90)
    weight[0][0] = max(weight[0][0], 1)
    return weight


@settings(max_examples=150, deadline=None)
@given(systems())
def test_what_is_found_is_what_happens(weight):
    found = find_period(Linear(weight))
    assert [found.end(n) for n in range(400)] == ends(weight, 400)


def cyclic(gaps):
    """A state that goes round: the intervals come in turn, for ever."""
    size = len(gaps)
    weight = np.full((size, size), NEVER)
    for i in range(size):
        weight[i, (i + 1) % size] = 0
    model = Linear(weight, start=np.zeros(size, dtype=np.int64))
    model.x = np.cumsum([0, *gaps[:-1]])
    model.weight[size - 1, 0] = sum(gaps)
    return model


@pytest.mark.parametrize("gaps", [[16, 20], [12, 5, 11], [73, 73, 73, 78], [5] * 9 + [6], [7] * 63 + [8]])
def test_a_period_is_found_whole(gaps):
    """Also one in which intervals are alike for long."""
    found = find_period(cyclic(gaps))
    assert len(found.intervals) == len(gaps) and sorted(found.intervals) == sorted(gaps)


def test_a_period_that_is_too_long_is_refused_with_its_mean():
    gaps = [5] * 33 + [6] * 33
    with pytest.raises(
        NotPeriodic, match=r"not periodic with up to 64 intervals after 256 inferences, .* \[\d, "
    ) as error:
        find_period(cyclic(gaps))
    assert 5 < error.value.mean < 6
    assert "\n" not in str(error.value)


def test_intervals_that_are_alike_for_long_and_then_change():
    """Nine times 98 on the way through a chain of events, then 97 for ever."""
    size = 10
    weight = np.full((size, size), NEVER)
    weight[0, 0], weight[0, 1] = 97, 98
    for i in range(1, size - 1):
        weight[i, i + 1] = 98
    model = Linear(weight, start=np.zeros(size, dtype=np.int64))
    found = find_period(model)
    assert (np.diff(found.ends) == 98).sum() == 8 and found.intervals == (97,)


def test_a_buffer_that_fills_slowly_is_not_waited_for(monkeypatch):
    """What comes before the slowest gains a cycle an inference; only after thousands is it held up."""
    weight = [[10, NEVER, 0], [NEVER, 9, -10_000], [0, 0, NEVER]]
    model = Linear(weight)
    found = find_period(model)
    assert model.steps < 10
    assert [found.end(n) for n in range(12_000)] == ends(weight, 12_000)
    # Without attempts the state would have to come again.
    monkeypatch.setattr(period._Search, "_holds_itself_up", lambda *_: False)
    with pytest.raises(NotPeriodic):
        find_period(Linear(weight))


def test_what_holds_for_a_while_only_is_not_taken_for_a_period():
    """The one before the slowest begins far ahead, is slower than it, and decides after 30 inferences."""
    weight = [[10, 0], [NEVER, 11]]
    model = Linear(weight, start=np.array([0, -30]))
    found = find_period(model)
    assert found.intervals == (11,) and len(found.ends) > 20


def test_an_attempt_goes_on_where_the_one_before_ended():
    """Delays use up the inferences of attempts; then one that gains 0 or 2 in turn needs two, and has one at a time."""
    delays = 20
    size = delays + 4
    weight = np.full((size, size), NEVER)
    weight[0, 0], weight[1, 2], weight[2, 1], weight[3, 3] = 10, 0, 18, 9
    for k in range(delays):
        weight[k + 4, k + 3] = 0
    start = np.concatenate([[0, -100, -90], -100 - 10 * np.arange(delays + 1)])
    found = find_period(Linear(weight, start=start))
    assert found.intervals == (10,) and len(found.ends) < 30
