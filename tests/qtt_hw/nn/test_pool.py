"""Pools with padding pairs against numpy, tap by tap."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from qtt_hw.nn import PairAvgPool3d, PairMaxPool3d


@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.tuples(*[st.integers(1, 3)] * 3),
    st.tuples(*[st.integers(1, 4)] * 3),
    st.sampled_from(["same", "pairs", 0]),
    st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 3),
)
def test_pools_are_over_valid_taps_only(
    size: tuple, kernel: tuple, stride: tuple, padding: object, pairs: tuple
) -> None:
    if padding == "pairs":
        padding = tuple((min(a, k - 1), min(b, k - 1)) for (a, b), k in zip(pairs, kernel, strict=True))
    x = np.random.default_rng(0).normal(size=(2, 3, *size)) - 5.0  # below zero: padding must not win a maximum
    for layer, reduce in (
        (PairMaxPool3d(kernel, stride, padding), np.max),
        (PairAvgPool3d(kernel, stride, padding), np.mean),
    ):
        try:
            axes = layer.window(size).axes((*size, 3))
        except ValueError:
            assume(False)
        y = layer(torch.from_numpy(x))
        assert y.shape[2:] == tuple(a.out_size for a in axes)
        for place in itertools.product(*(range(a.out_size) for a in axes)):
            taken = tuple(slice(a.first(o), a.last(o) + 1) for a, o in zip(axes, place, strict=True))
            expected = reduce(x[(slice(None), slice(None), *taken)].reshape(2, 3, -1), axis=2)
            assert np.allclose(y[(slice(None), slice(None), *place)].numpy(), expected)


@pytest.mark.parametrize(("size", "stride", "out"), [(32, 3, 11), (11, 3, 4), (4, 4, 1), (50, 4, 13), (13, 4, 4)])
def test_same_gives_the_published_sizes(size: int, stride: int, out: int) -> None:
    layer = PairAvgPool3d(3, stride, "same")
    assert layer.window((size, size, size)).out_positions((size, size, size, 1)) == (out, out, out)


def test_same_pads_an_odd_place_behind() -> None:
    assert PairMaxPool3d(3, 3, "same").window((32, 31, 33)).padding == ((0, 1), (1, 1), (0, 0))


def test_refusals() -> None:
    with pytest.raises(ValueError, match="padding must be a number, three numbers"):
        PairAvgPool3d(3, padding="sam")
    with pytest.raises(ValueError, match="padding before must be 0 to 2 for kernel 3, got 3"):
        PairMaxPool3d(3, 1, ((3, 1), (0, 0), (0, 0)))
    with pytest.raises(ValueError, match=r"takes \[N, C, D, H, W\], got shape \[1, 4, 4, 4\]"):
        PairMaxPool3d(2)(torch.zeros(1, 4, 4, 4))
    with pytest.raises(ValueError, match="stride must be one number or three"):
        PairMaxPool3d(3, (1, 2))
