import numpy as np
import pytest

from qtt_hw.data.optical_flow import optical_flow


def moving(dx: int, dy: int, frames: int = 4) -> np.ndarray:
    """A smooth random picture that moves by (dx, dy) pixels a frame, [D, 40, 48, 3]."""
    noise = np.random.default_rng(0).random((80, 88))
    for _ in range(3):
        noise = sum(np.roll(noise, shift, axis) for axis in (0, 1) for shift in (-1, 0, 1)) / 6
    picture = ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)
    planes = [picture[20 - dy * n : 60 - dy * n, 20 - dx * n : 68 - dx * n] for n in range(frames)]
    return np.ascontiguousarray(np.stack(planes)[..., None].repeat(3, axis=3))


@pytest.mark.parametrize("dx, dy", [(1, 0), (0, 2), (-2, -1)])
def test_motion_in_steps_of_the_scale(dx: int, dy: int) -> None:
    flow = optical_flow(moving(dx, dy), 32)
    assert flow.shape == (4, 40, 48, 2) and flow.dtype == np.uint8
    inner = np.median(flow[:, 10:-10, 10:-10].astype(int), axis=(1, 2)) - 128
    assert inner == pytest.approx(np.tile([32 * dx, 32 * dy], (4, 1)), abs=6)
    assert np.array_equal(flow[-1], flow[-2]) and not np.array_equal(flow[-2], flow[-3])


def test_no_motion_is_128() -> None:
    assert np.abs(optical_flow(moving(0, 0), 32).astype(int) - 128).max() <= 1
    assert (optical_flow(np.full((3, 30, 40, 3), 77, np.uint8), 32) == 128).all()
    assert (optical_flow(moving(3, 3, 1), 32) == 128).all()


def test_clipped() -> None:
    flow = optical_flow(moving(2, -2), 1000)
    assert np.median(flow[:, 10:-10, 10:-10, 0]) == 255 and np.median(flow[:, 10:-10, 10:-10, 1]) == 0
