"""Axes that sizes tell, and those that must be given."""

import numpy as np
import pytest

from qtt_hw.data.axes import in_order, parse_axes, sample_axes


@pytest.mark.parametrize(
    "shape, axes",
    [
        ((640,), "C"),
        ((28, 28), "HW"),
        ((8, 8, 8), "DHW"),
        ((8, 8, 9), "DHW"),
        ((4, 4, 4), "DHW"),
        ((1, 28, 28), "DHW"),
        ((16, 64, 64), "DHW"),
        ((30, 30, 30, 1), "DHWC"),
        ((16, 48, 64, 3), "DHWC"),
        ((1, 32, 32, 3), "DHWC"),
        ((16, 48, 64, 8), "DHWC"),
        ((1, 1, 1, 1), "DHWC"),
    ],
)
def test_sizes_that_leave_no_doubt(shape: tuple, axes: str) -> None:
    assert sample_axes(shape, None, "x", "") == axes


@pytest.mark.parametrize(
    "shape, other",
    [
        ((32, 32, 3), "N, H, W, C or N, D, H, W"),
        ((28, 28, 1), "N, H, W, C or N, D, H, W"),
        ((3, 32, 32), "N, C, H, W or N, D, H, W"),
        ((1, 12, 12, 12), "N, C, D, H, W or N, D, H, W, C"),
        ((3, 16, 48, 64), "N, C, D, H, W or N, D, H, W, C"),
        ((1, 4, 4, 4), "N, C, D, H, W or N, D, H, W, C"),
        ((1, 32, 32, 16), "N, C, D, H, W or N, D, H, W, C"),
        ((16, 8, 8, 8), "N, C, D, H, W or N, D, H, W, C"),
    ],
)
def test_sizes_of_two_orders_are_refused(shape: tuple, other: str) -> None:
    with pytest.raises(ValueError, match=rf"own: samples of .* may be {other}: say N") as error:
        sample_axes(shape, None, "own", "say {axes}")
    assert "\n" not in str(error.value)


def test_given_axes_put_values_in_their_places() -> None:
    x = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.uint8).reshape(2, 3, 4, 5, 6)
    moved = in_order(x, parse_axes("ncdhw", "x"))
    assert (
        moved.shape == (2, 4, 5, 6, 3)
        and moved[1, 3, 4, 5, 2] == x[1, 2, 3, 4, 5]
        and moved[0, 1, 0, 2, 1] == x[0, 1, 1, 0, 2]
    )
    assert in_order(x[:, 0], "WHC").shape == (2, 1, 5, 4, 6)
    assert np.array_equal(in_order(x, "DHWC"), x)
    assert in_order(x[:, 0, 0, 0], parse_axes("NC", "x")).shape == (2, 1, 1, 1, 6)
    assert sample_axes((3, 32, 32), "CHW", "x", "") == "CHW"


@pytest.mark.parametrize("text", ["", "N", "NHH", "NCW", "NW", "HWN", "NDHWX", "NHWCC"])
def test_what_are_no_axes(text: str) -> None:
    with pytest.raises(ValueError, match=f"own: axes '{text}': expected N, then H and W"):
        parse_axes(text, "own")
