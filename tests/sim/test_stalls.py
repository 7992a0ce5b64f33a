import pytest

from sim.stalls import PATTERNS, pattern, patterns_of_seed


@pytest.mark.parametrize(("name", "low", "high"), [("none", 0, 0), ("sparse", 0.03, 0.1), ("bursty", 0.25, 0.42)])
def test_share_of_stalled_cycles(name: str, low: float, high: float) -> None:
    walk = pattern(name).walk(1)
    share = sum(walk.step() for _ in range(20000)) / 20000
    assert low <= share <= high


def test_mostly_stalls_mostly_but_goes_on() -> None:
    walk = pattern("mostly").walk(3)
    steps = [walk.step() for _ in range(20000)]
    assert 0.8 < sum(steps) / len(steps) < 0.95


def test_seeds_take_every_pair_that_stalls() -> None:
    pairs = {patterns_of_seed(seed) for seed in range(15)}
    assert len(pairs) == len(PATTERNS) ** 2 - 1
    assert (PATTERNS["none"], PATTERNS["none"]) not in pairs


def test_an_unknown_pattern_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"^stall pattern 'often' is not known; known are none, sparse, bursty, mostly$"
    ):
        pattern("often")
