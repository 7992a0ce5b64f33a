import numpy as np
import pytest

from qtt_hw.data.rotations import all_rotations, rotate
from qtt_hw.data.samples import Samples

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("edge", [7, 30])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4])
def test_right_angles_are_exact(edge: int, turns: int) -> None:
    x = RNG.integers(0, 2, size=(3, edge, edge, 5, 1), dtype=np.uint8)
    assert np.array_equal(rotate(x, 3 * turns), np.rot90(x, turns, (1, 2)))


@pytest.mark.parametrize("k", range(12))
def test_a_bar_points_where_it_should_at_every_height(k: int) -> None:
    x = np.zeros((1, 31, 31, 3, 1), np.uint8)
    x[0, 15:29, 15] = 1  # from the centre along D
    d, h = np.argwhere(rotate(x, k)[0, :, :, 1, 0]).mean(axis=0) - 15
    assert np.hypot(d, h) == pytest.approx(6.5, abs=0.5)
    assert np.degrees(np.arctan2(h, d)) % 360 == pytest.approx(30 * k, abs=4) or (k == 0 and abs(h) < 0.5)
    assert np.array_equal(rotate(x, k)[:, :, :, 0], rotate(x, k)[:, :, :, 2])


def test_a_whole_turn_and_steps_past_it() -> None:
    x = RNG.integers(0, 2, size=(1, 12, 12, 4, 2), dtype=np.uint8)
    assert np.array_equal(rotate(x, 12), x) and np.array_equal(rotate(x, -1), rotate(x, 11))


def test_what_leaves_the_plane_is_lost_and_zeros_come_in() -> None:
    x = np.ones((1, 10, 10, 1, 1), np.uint8)
    turned = rotate(x, 1)
    assert turned[0, 0, 0] == 0 and turned[0, 5, 5] == 1 and 80 < turned.sum() < 100


def test_all_rotations_follow_each_other() -> None:
    samples = Samples(RNG.integers(0, 2, size=(2, 6, 6, 3, 1), dtype=np.uint8), np.array([4, 7]))
    turned = all_rotations(samples)
    assert len(turned) == 24 and turned.y.tolist() == [4] * 12 + [7] * 12
    assert np.array_equal(turned.x[12:13], samples.x[1:]) and np.array_equal(turned.x[17:18], rotate(samples.x[1:], 5))
