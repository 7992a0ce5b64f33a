"""Ranks of single kernels whose ranks are known, and the published objective against an exhaustive search."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from qtt_hw.nn import TTConv2d
from qtt_hw.rank.kernel_ranks import _error_of, evbmf_ranks, optimised_ranks, published_tucker_ranks
from qtt_hw.tt.ends import layer_train
from qtt_hw.tt.svd import relative_error
from qtt_hw.tt.tucker import partial_tucker


def kernel(taken: int, made: int, ranks: tuple[int, int], noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    core = rng.standard_normal((ranks[0], 3, 3, ranks[1]))
    ends = rng.standard_normal((taken, ranks[0])), rng.standard_normal((made, ranks[1]))
    clean = np.einsum("ia,axyb,jb->ixyj", ends[0], core, ends[1])
    return clean / clean.std() + noise * rng.standard_normal(clean.shape)


@pytest.mark.parametrize("ranks", [(3, 5), (6, 2)])
def test_evbmf_finds_the_ranks_under_noise(ranks: tuple[int, int]) -> None:
    tucker, train = evbmf_ranks(kernel(20, 24, ranks, 0.1))
    assert tucker == ranks and train == (ranks[0], min(3 * ranks[0], 3 * ranks[1]), ranks[1])
    weaker, _ = evbmf_ranks(kernel(20, 24, ranks, 0.1), factor=0.5)
    assert weaker == (round((20 + ranks[0]) / 2), round((24 + ranks[1]) / 2))


def published(w: np.ndarray, i: int, o: int) -> float:
    taken, *_, made = w.shape
    core, _ = partial_tucker(w, (0, 3), (i, o))
    size = np.linalg.norm(w)
    ratio = (taken * i + i * o * 9 + o * made) / (taken * made * 9)
    return float(np.sqrt(max(size**2 - np.linalg.norm(core) ** 2, 0.0)) / size + (ratio if ratio <= 1 else 5.0))


def test_the_published_objective() -> None:
    w = kernel(9, 10, (3, 4), 0.2)
    every = {(i, o): published(w, i, o) for i, o in product(range(2, 9), range(2, 10))}
    found = published_tucker_ranks(w, trials=16)
    assert every[found] <= sorted(every.values())[4]
    assert found == published_tucker_ranks(w, trials=16)  # the same seed, the same ranks
    i, o = published_tucker_ranks(np.random.default_rng(0).normal(size=(40, 1, 1, 5)))
    assert 2 <= i < 40 and 2 <= o < 5
    with pytest.raises(ValueError, match="a kernel of 2 and 9 channels has no ranks from 2"):
        published_tucker_ranks(np.ones((2, 3, 3, 9)))
    with pytest.raises(ValueError, match="a kernel of zeros has no ranks to choose"):
        published_tucker_ranks(np.zeros((9, 3, 3, 9)))


@pytest.mark.parametrize("shape", [(1, 3, 3, 8), (8, 3, 3, 1), (1, 3, 3, 3, 4), (6, 1, 1, 7)])
def test_a_mode_of_one_has_rank_one(shape: tuple[int, ...]) -> None:
    w = np.random.default_rng(0).normal(size=shape)
    (i, o), train = evbmf_ranks(w)
    assert train[0] == i and train[-1] == o and min(train) >= 1
    assert i == 1 or shape[0] > 1
    assert o == 1 or shape[-1] > 1


@pytest.mark.parametrize(("channels", "noise"), [(8, 0.05), (4, 0.4)])
def test_ranks_of_a_train(channels: int, noise: float) -> None:
    w = kernel(channels, channels, (2, 2), noise)

    def objective(ranks: tuple[int, ...]) -> float:
        layer = TTConv2d.from_dense(conv(w), ranks)
        return layer.relative_error + sum(core.numel() for core in layer.cores) / w.size

    every = [objective(ranks) for ranks in product(range(1, 5), range(1, 8), range(1, 5))]
    assert objective(optimised_ranks(w, trials=25)) <= 1.05 * min(every)
    inside = optimised_ranks(w, tucker=(2, 2), trials=12)
    assert (inside[0], inside[2]) == (2, 2) and 1 <= inside[1] <= 6


def conv(kernel: np.ndarray) -> nn.Conv2d:
    """The convolution of a kernel [in, h, w, out]."""
    layer = nn.Conv2d(kernel.shape[0], kernel.shape[-1], kernel.shape[1:3], bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.moveaxis(kernel, -1, 0).copy()))
    return layer


def test_the_error_is_that_of_the_layer_at_ends_that_it_has_not() -> None:
    rng = np.random.default_rng(0)
    w = np.einsum("iar,rbj->iabj", rng.standard_normal((16, 3, 3)), rng.standard_normal((3, 3, 16)))
    w += 0.3 * rng.standard_normal(w.shape)
    ranks = optimised_ranks(w, tucker=(6, 8), trials=40)

    def objective(middle: int) -> float:
        layer = TTConv2d.from_dense(conv(w), (6, middle, 8), tucker=(6, 8))
        return layer.relative_error + sum(core.numel() for core in layer.cores) / w.size

    assert not all(TTConv2d.from_dense(conv(w), ranks, tucker=(6, 8)).ends)
    assert objective(ranks[1]) == min(objective(middle) for middle in range(1, 19))


@pytest.mark.parametrize(
    ("shape", "ranks", "tucker"),
    [
        ((6, 3, 3, 8), (4, 3, 5), None),
        ((6, 3, 3, 8), (2, 3, 3), None),
        ((6, 3, 3, 8), (2, 5, 3), (2, 3)),
        ((6, 3, 3, 8), (5, 4, 3), (5, 3)),
        ((6, 3, 3, 8), (5, 4, 7), (5, 7)),
        ((6, 5, 8), (4, 5), (4, 5)),
        ((6, 3, 2, 3, 8), (2, 3, 4, 2), (2, 2)),
        ((6, 3, 2, 3, 8), (5, 3, 4, 2), (5, 2)),
        ((6, 3, 2, 3, 8), (5, 3, 4, 7), None),
    ],
)
def test_the_searched_error_is_that_of_the_decomposition(shape: tuple, ranks: tuple, tucker: tuple | None) -> None:
    w = np.random.default_rng(0).normal(size=shape)
    found = _error_of(w, tucker)(ranks)
    assert found == pytest.approx(relative_error(w, layer_train(w, ranks, tucker=tucker)), rel=1e-9)
    assert 0.1 < found < 1.0
    assert _error_of(0.0 * w, tucker)(ranks) == 0.0
