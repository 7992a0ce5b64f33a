"""Ranks of matrices whose rank is known."""

import numpy as np
import pytest

from qtt_hw.rank.evbmf import _estimated_noise, _free_energy, evbmf, evbmf_rank, weakened


def noisy(shape: tuple[int, int], rank: int, sigma: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    product = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    return product + sigma * rng.standard_normal(shape)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (50, 50), (16, 144), (64, 576)])
@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("sigma", [0.05, 0.4])
def test_the_rank_of_a_low_rank_matrix_plus_noise(shape: tuple[int, int], rank: int, sigma: float) -> None:
    matrix = noisy(shape, rank, sigma, seed=rank)
    found = evbmf(matrix)
    assert found.rank == rank == evbmf(matrix.T).rank
    assert evbmf_rank(matrix) == rank == evbmf_rank(matrix.T)
    assert found.noise == pytest.approx(sigma**2, rel=0.15)
    assert evbmf(matrix, noise=sigma**2).rank == rank
    clean = noisy(shape, rank, 0.0, seed=rank)
    # The posterior mean is closer to what lies under the noise than the noisy matrix is.
    assert np.linalg.norm(found.mean - clean) < np.linalg.norm(matrix - clean)
    assert found.left.shape == (shape[0], rank) and found.right.shape == (shape[1], rank)


def test_noise_alone_has_no_rank() -> None:
    for seed in range(5):
        found = evbmf(np.random.default_rng(seed).standard_normal((30, 80)))
        assert found.rank == 0 and found.mean.shape == (30, 80) and found.noise == pytest.approx(1.0, rel=0.05)
    assert evbmf_rank(np.random.default_rng(0).standard_normal((30, 80))) == 1


def test_without_noise_the_rank_is_the_algebraic_one() -> None:
    assert evbmf(noisy((30, 50), 4, 0.0, 1)).rank == 4


def test_the_threshold_is_where_the_paper_puts_it() -> None:
    """One singular value just above and just below sqrt(M sigma^2 (1 + tau) (1 + alpha / tau))."""
    rows, columns, noise = 20, 45, 0.3
    alpha = rows / columns
    tau = 2.5129 * np.sqrt(alpha)
    threshold = np.sqrt(columns * noise * (1 + tau) * (1 + alpha / tau))
    base = np.zeros((rows, columns))
    for value, rank in ((threshold * 1.001, 1), (threshold * 0.999, 0)):
        base[3, 7] = value
        assert evbmf(base, noise=noise).rank == rank


def test_the_estimate_is_the_least_free_energy() -> None:
    values = np.linalg.svd(noisy((24, 60), 3, 0.2, 5), compute_uv=False)
    alpha = 24 / 60
    tau = 2.5129 * np.sqrt(alpha)
    knee = (1 + tau) * (1 + alpha / tau)
    squares = values**2
    found = _estimated_noise(squares, 24, 60, knee)
    least = _free_energy(found, squares, 24, 60, knee)
    for noise in np.geomspace(found / 3, found * 3, 2001):
        assert _free_energy(float(noise), squares, 24, 60, knee) >= least - 1e-9


def test_weakening() -> None:
    assert [weakened(4, 20, f) for f in (1.0, 0.75, 0.5, 0.0)] == [4, 8, 12, 20]
    assert weakened(0, 20, 1.0) == 1 and weakened(9, 9, 0.5) == 9
    matrix = noisy((40, 60), 3, 0.1, 0)
    assert evbmf_rank(matrix) == 3 and evbmf_rank(matrix, factor=0.5) == round(40 - 0.5 * 37)
    with pytest.raises(ValueError, match="weakening factor must be 0 to 1, got 2"):
        weakened(1, 2, 2.0)


@pytest.mark.parametrize(
    ("matrix", "noise", "message"),
    [
        (np.zeros(3), None, r"takes a matrix, got shape \[3\]"),
        (np.zeros((3, 0)), None, r"takes a matrix, got shape \[3, 0\]"),
        (np.full((2, 2), np.nan), None, "takes finite values"),
        (np.zeros((3, 4)), None, "not all zeros"),
        (np.ones((1, 5)), None, r"the noise of a matrix \[1, 5\] cannot be estimated; give it"),
        (np.ones((3, 5)), 0.0, "the noise's variance must be above 0, got 0"),
    ],
)
def test_refusals(matrix: np.ndarray, noise: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evbmf(matrix, noise)
