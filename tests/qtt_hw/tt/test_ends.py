"""Ends of trains: absorbed exactly where that is smaller, and then the layer is nearer to its kernel."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from qtt_hw.nn import TTConv2d, TTConv3d
from qtt_hw.tt.ends import absorb_ends, check_layer_ranks, kept_ends, layer_parameters, layer_ranks, layer_train
from qtt_hw.tt.svd import full, relative_error, tt_svd

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(1, 9))
RANKS = st.tuples(*(st.integers(1, 10) for _ in range(3)))


@given(SIZES, RANKS, st.integers(0, 1000))
def test_parameters_are_those_of_the_layer(sizes: tuple, ranks: tuple, seed: int) -> None:
    torch.manual_seed(seed)
    c, h, w, s = sizes
    layer = TTConv2d.from_dense(nn.Conv2d(c, s, (h, w), bias=False), ranks, redundant_ranks=True)
    # A random kernel has the greatest ranks that its shape allows, so the bounds are met.
    assert sum(core.numel() for core in layer.cores) == layer_parameters(sizes, layer.ranks)
    assert layer.ends == kept_ends(sizes, layer.ranks)
    assert sum(core.numel() for core in layer.cores) <= layer_parameters(sizes, ranks)


@example((5, 2, 3, 2), (2, 1, 1), 329)
@example((3, 1, 2, 2), (2, 3, 1), 0)
@example((2, 3, 2, 2), (1, 3, 1), 0)
@given(SIZES, RANKS, st.integers(0, 1000))
def test_a_layer_is_no_larger_than_the_train_of_the_same_ranks_nor_farther(
    sizes: tuple, ranks: tuple, seed: int
) -> None:
    kernel = np.random.default_rng(seed).normal(size=sizes)
    plain, train = tt_svd(kernel, ranks), layer_train(kernel, ranks)
    kept = [core for core, there in zip(train, _there(train), strict=True) if there]
    assert sum(core.size for core in kept) <= sum(core.size for core in plain)
    # Where only the first end is absorbed, the truncation that falls away may by chance have helped those behind it.
    if (_there(train)[0], _there(train)[-1]) != (False, True):
        assert relative_error(kernel, train) <= relative_error(kernel, plain) + 1e-9
    for core, there in zip(train, _there(train), strict=True):
        assert there or np.array_equal(core.squeeze(), np.eye(core.shape[1]).squeeze())


def _there(train: list) -> list[bool]:
    first, last = kept_ends([core.shape[1] for core in train], [core.shape[2] for core in train[:-1]])
    return [first, *[True] * (len(train) - 2), last]


@given(SIZES, RANKS, st.integers(0, 1000))
def test_absorbing_keeps_the_tensor(sizes: tuple, ranks: tuple, seed: int) -> None:
    rng = np.random.default_rng(seed)
    outer = (1, *ranks, 1)
    cores = [rng.normal(size=(outer[i], n, outer[i + 1])) for i, n in enumerate(sizes)]
    assert np.allclose(full(absorb_ends(cores)), full(cores))
    again = absorb_ends(absorb_ends(cores))
    assert all(np.array_equal(a, b) for a, b in zip(again, absorb_ends(cores), strict=True))


def test_which_ends_are_kept() -> None:
    # 64 * 3 * 28 against 64 * 64 + 64 * 3 * 28: part of the next; 64 * 3 * 32 against 64 * 32 + 32 * 3 * 32: its own.
    assert kept_ends((64, 3, 3, 64), (64, 28, 64)) == (False, False)
    assert kept_ends((64, 3, 3, 64), (32, 32, 32)) == (True, True)
    assert kept_ends((16, 3, 3, 64), (16, 30, 30)) == (False, True)
    assert layer_ranks((64, 3, 3, 64), (32, 32, 32)) == (32, 32, 32)
    # Nearly square: larger than with every channel, so it gets every channel.
    assert layer_ranks((64, 3, 3, 64), (60, 28, 62)) == (64, 28, 64)
    assert layer_parameters((64, 3, 3, 64), (60, 28, 62)) == 2 * 64 * 3 * 28


@example((16, 1, 1, 32), (16, 16, 16))
@given(SIZES, RANKS)
def test_a_layer_s_own_ranks_are_of_use(sizes: tuple, ranks: tuple) -> None:
    own = layer_ranks(sizes, ranks)
    check_layer_ranks(own, sizes)
    assert layer_ranks(sizes, own) == own
    conv = nn.Conv2d(sizes[0], sizes[-1], sizes[1:3])
    assert layer_parameters(sizes, TTConv2d.from_dense(conv, own).ranks) == layer_parameters(sizes, own)


def test_ranks_of_no_use_to_a_layer() -> None:
    check_layer_ranks((16, 16, 32), (16, 1, 1, 32))
    check_layer_ranks(16, (16, 1, 1, 32))
    for ranks, fault in (((16, 16, 33), "33 is above 16"), ((2, 2, 17), "17 is above 16"), (17, "17 is above 16")):
        with pytest.raises(ValueError, match=f"ranks: {fault}, the largest that is of use"):
            check_layer_ranks(ranks, (16, 1, 1, 32))
    with pytest.raises(ValueError, match="must be one number or 3 of them"):
        check_layer_ranks((16, 16), (16, 1, 1, 32))


def test_a_matrix_is_its_two_ends() -> None:
    matrix = np.random.default_rng(2).normal(size=(12, 5))
    assert layer_ranks((12, 5), 9) == (5,) and layer_ranks((12, 5), (3,)) == (3,)
    assert layer_parameters((12, 5), (3,)) == 3 * (12 + 5)
    for train in (layer_train(matrix, (3,)), layer_train(matrix, (4,), tucker=(3, 5)), layer_train(matrix, 3)):
        assert [core.shape for core in train] == [(1, 12, 3), (3, 5, 1)]
        assert relative_error(matrix, train) == pytest.approx(relative_error(matrix, tt_svd(matrix, 3)))
    assert relative_error(matrix, layer_train(matrix, eps=0.0)) < 1e-12
    check_layer_ranks((5,), (12, 5))
    for rank in (6, 12):
        with pytest.raises(ValueError, match=f"ranks: {rank} is above 5"):
            check_layer_ranks((rank,), (12, 5))


def test_tucker_ranks_alone_cut_nothing_at_an_end_that_is_not_kept() -> None:
    kernel = np.random.default_rng(1).normal(size=(8, 3, 3, 12))
    train = layer_train(kernel, tucker=(5, 11))
    ranks = [core.shape[2] for core in train[:-1]]
    assert ranks == [5, 15, 12]
    again = layer_train(kernel, ranks, tucker=(5, 11))
    assert all(np.array_equal(a, b) for a, b in zip(train, again, strict=True))


def test_tucker_ranks_hold_at_kept_ends_only() -> None:
    kernel = np.random.default_rng(0).normal(size=(8, 3, 3, 12))
    train = layer_train(kernel, (3, 6, 12), tucker=(3, 5))
    assert [core.shape[2] for core in train[:-1]] == [3, 6, 12]
    assert relative_error(kernel, train) < relative_error(kernel, layer_train(kernel, (3, 6, 5), tucker=(3, 5)))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("ranks", [(6, 5, 7, 8), (6, 5, 7, 2), (2, 5, 7, 8), (2, 5, 7, 2)])
def test_a_layer_computes_its_kernel_whatever_its_ends(ranks: tuple, stride: int) -> None:
    torch.manual_seed(1)
    conv = nn.Conv3d(6, 8, 3, stride, 1)
    layer = TTConv3d.from_dense(conv, ranks)
    assert layer.ends == (ranks[0] == 2, ranks[3] == 2)
    assert layer.stages == (*("in",) * layer.ends[0], "d", "h", "w", *("out",) * layer.ends[1])
    x = torch.randn(2, 6, 5, 6, 7)
    with torch.no_grad():
        conv.weight.copy_(layer.composed_kernel())
        assert torch.allclose(layer(x), conv(x), atol=1e-5)


def test_an_end_rank_without_its_stage_is_that_of_the_channels() -> None:
    with pytest.raises(ValueError, match="without its pointwise stage an end rank is that of 6 channels, got 4"):
        TTConv2d(6, 8, 3, (4, 4, 8), ends=(False, False))
