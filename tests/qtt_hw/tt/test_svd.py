"""TT-SVD: exact at full rank, within its bound at eps, quasi-optimal at given ranks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.tt.svd import full, norm, relative_error, tt_svd

shapes = st.lists(st.integers(1, 5), min_size=2, max_size=5).map(tuple)


def tensor(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random, with singular values that fall off."""
    rng = np.random.default_rng(seed)
    smooth = 1.0 / (1.0 + np.indices(shape).sum(axis=0)) if shape else 0.0
    return smooth + 0.05 * rng.normal(size=shape)


@given(shapes, st.floats(0.0, 0.9), st.integers(0, 1000))
def test_error_is_within_eps(shape: tuple[int, ...], eps: float, seed: int) -> None:
    dense = tensor(shape, seed)
    cores = tt_svd(dense, eps=eps)
    assert [core.shape[1] for core in cores] == list(shape)
    assert cores[0].shape[0] == cores[-1].shape[2] == 1
    assert relative_error(dense, cores) <= eps + 1e-12
    assert np.isclose(norm(cores), np.linalg.norm(full(cores)), rtol=1e-12)


@given(shapes, st.integers(1, 4), st.integers(0, 1000))
def test_ranks_are_bounds_and_the_error_is_quasi_optimal(shape: tuple[int, ...], rank: int, seed: int) -> None:
    dense = tensor(shape, seed)
    cores = tt_svd(dense, ranks=rank)
    assert all(core.shape[2] <= rank for core in cores)
    # ||A - TT||^2 is at most the sum over unfoldings of what each alone must lose.
    lost = 0.0
    for i in range(1, len(shape)):
        s = np.linalg.svd(dense.reshape(int(np.prod(shape[:i])), -1), compute_uv=False)
        lost += float((s[rank:] ** 2).sum())
    assert np.linalg.norm(dense - full(cores)) ** 2 <= lost + 1e-20 + 1e-12 * np.linalg.norm(dense) ** 2


def test_all_cores_but_the_last_are_left_orthogonal() -> None:
    for core in tt_svd(tensor((4, 3, 5, 2), 1), ranks=3)[:-1]:
        flat = core.reshape(-1, core.shape[2])
        assert np.allclose(flat.T @ flat, np.eye(core.shape[2]), atol=1e-12)


def test_a_train_is_found_again_at_its_own_ranks() -> None:
    rng = np.random.default_rng(3)
    dense = full([rng.normal(size=s) for s in ((1, 4, 2), (2, 5, 3), (3, 6, 1))])
    cores = tt_svd(dense, eps=1e-10)
    assert [core.shape[2] for core in cores] == [2, 3, 1]
    assert relative_error(dense, cores) < 1e-12


def test_zero_tensor_keeps_rank_one() -> None:
    cores = tt_svd(np.zeros((3, 4, 2)), ranks=2)
    assert [core.shape for core in cores] == [(1, 3, 1), (1, 4, 1), (1, 2, 1)]
    assert relative_error(np.zeros((3, 4, 2)), cores) == 0.0


@pytest.mark.parametrize(
    ("dense", "options", "message"),
    [
        (np.zeros(3), {"ranks": 1}, "at least two modes"),
        (np.zeros((3, 3)), {}, "either ranks or eps"),
        (np.zeros((3, 3)), {"ranks": 1, "eps": 0.1}, "either ranks or eps"),
        (np.zeros((3, 3)), {"eps": 1.0}, "at least 0 and below 1, got 1.0"),
        (np.full((3, 3), np.nan), {"ranks": 1}, "not finite"),
    ],
)
def test_refusals(dense: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tt_svd(dense, **options)
