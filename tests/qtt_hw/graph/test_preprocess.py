"""Offset and space to depth against loops over single voxels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format
from qtt_hw.graph.preprocess import input_spec, preprocess

IMAGE = Format(8, True, 7)


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
    st.integers(1, 3),
    st.integers(0, 2**31),
)
def test_every_voxel_lands_where_the_spec_says(shape: tuple[int, int, int, int], block: int, seed: int) -> None:
    raw = np.random.default_rng(seed).integers(0, 256, (2, *shape), dtype=np.uint8)
    spec = input_spec(shape, block, 128, IMAGE)
    x = preprocess(spec, raw)
    assert x.dtype == np.int16 and x.shape == (2, *spec.edge.shape)
    d, h, w, c = shape
    depth = block if d > 1 else 1
    expected = np.zeros_like(x)
    for index in np.ndindex(*shape):
        (i, j, k, channel), sample = index, raw[(slice(None), *index)].astype(np.int16) - 128
        slot = (((i % depth) * block + j % block) * block + k % block) * c + channel
        expected[:, i // depth, j // block, k // block, slot] = sample
    assert np.array_equal(x, expected)


def test_voxels_stay_bytes_and_need_no_channel_axis() -> None:
    raw = np.random.default_rng(0).integers(0, 2, (3, 4, 5, 6), dtype=np.uint8)
    x = preprocess(input_spec((4, 5, 6, 1)), raw)
    assert x.dtype == np.uint8 and np.array_equal(x, raw[..., None])


def test_signed_voxels_are_minus_one_and_one_and_padding_is_zero() -> None:
    raw = np.random.default_rng(0).integers(0, 2, (2, 3, 3, 3, 1), dtype=np.uint8)
    spec = input_spec((3, 3, 3, 1), 2, 1, Format(2, True, 0), gain=2)
    x = preprocess(spec, raw)
    assert sorted(np.unique(x)) == [-1, 0, 1]
    assert np.array_equal(x[:, 0, 0, 0, 0], 2 * raw[:, 0, 0, 0, 0].astype(int) - 1)
    assert (x[:, 1, :, :, 4:] == 0).all()


def test_input_is_left_alone() -> None:
    raw = np.ones((1, 2, 2, 2, 1), np.uint8)
    preprocess(input_spec((2, 2, 2, 1)), raw)[:] = 0
    assert raw.all()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((1, 2, 2, 2), np.int64), "must be uint8 or bool, got int64"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"shape \[2, 2, 3, 1\] given, the model takes \[2, 2, 2, 1\]"),
        (np.full((1, 2, 2, 2), 2, np.uint8), "samples minus offset 0 span 2 to 2, the model's input takes 0 to 1"),
    ],
)
def test_refuses_what_does_not_fit(raw: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preprocess(input_spec((2, 2, 2, 1)), raw)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((2, 2, 2),), r"four sizes \(D, H, W, C\)"),
        (({"train": 1},), r"sizes \(D, H, W, C\), such as a split's sample_shape, got a dict$"),
        ((5,), r"such as a split's sample_shape, got a int$"),
        (((2, 0, 2, 1),), "at least 1"),
        (((2, 2, 2, 1), 0), "block must be at least 1, got 0"),
        (((2, 2, 2, 1), 1, 300), "offset must be 0 to 255, got 300"),
        (((2, 2, 2, 1), 1, 0, IMAGE, 0), "gain must be 1 to 64, got 0"),
    ],
)
def test_refuses_impossible_specs(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        input_spec(*arguments)


def test_bools_are_taken_as_bytes() -> None:
    raw = np.random.default_rng(0).random((3, 4, 4, 4)) < 0.5
    spec = input_spec((4, 4, 4, 1))
    assert np.array_equal(preprocess(spec, raw), preprocess(spec, raw.astype(np.uint8)))
    with pytest.raises(ValueError, match="^raw samples must be uint8 or bool, got float64$"):
        preprocess(spec, raw.astype(float))
