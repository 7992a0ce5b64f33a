"""TT-Tucker: exact where the ranks suffice, orthogonal factors, never worse than its bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.tt.svd import full, relative_error
from qtt_hw.tt.tucker import partial_tucker, tt_tucker, unfolding

shapes = st.tuples(st.integers(2, 8), st.integers(1, 3), st.integers(1, 3), st.integers(2, 9))


def low(shape: tuple[int, ...], ranks: tuple[int, int], seed: int) -> np.ndarray:
    """A kernel whose first and last unfoldings have the given ranks."""
    rng = np.random.default_rng(seed)
    core = rng.standard_normal((ranks[0], *shape[1:-1], ranks[1]))
    return np.einsum(
        "ia,a...b,jb->i...j",
        rng.standard_normal((shape[0], ranks[0])),
        core,
        rng.standard_normal((shape[-1], ranks[1])),
    )


def test_unfolding_is_by_rows() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    assert np.array_equal(unfolding(x, 1)[2], x[:, 2, :].ravel()) and unfolding(x, 2).shape == (4, 6)


@given(shapes, st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_enough_ranks_are_exact(shape: tuple[int, ...], a: int, b: int, seed: int) -> None:
    kernel = low(shape, (a, b), seed)
    cores = tt_tucker(kernel, (a, b))
    assert relative_error(kernel, cores) < 1e-10
    assert [core.shape[1] for core in cores] == list(shape)
    assert cores[0].shape[2] <= a and cores[-1].shape[0] <= b


@given(shapes, st.integers(1, 8), st.integers(1, 8), st.integers(0, 99))
def test_what_is_lost_is_within_its_bounds(shape: tuple[int, ...], a: int, b: int, seed: int) -> None:
    """At least what each unfolding alone must lose, at most their sum: the factors are at least the leading ones."""
    kernel = np.random.default_rng(seed).standard_normal(shape)
    core, factors = partial_tucker(kernel, (0, len(shape) - 1), (a, b))
    for factor in factors:
        assert np.allclose(factor.T @ factor, np.eye(factor.shape[1]), atol=1e-12)
    lost = np.linalg.norm(kernel) ** 2 - np.linalg.norm(core) ** 2
    tails = [
        float((np.linalg.svd(unfolding(kernel, mode), compute_uv=False)[rank:] ** 2).sum())
        for mode, rank in ((0, a), (len(shape) - 1, b))
    ]
    assert max(tails) - 1e-9 <= lost <= sum(tails) + 1e-9
    cores = tt_tucker(kernel, (a, b))
    assert np.linalg.norm(kernel - full(cores)) ** 2 == pytest.approx(max(lost, 0.0), abs=1e-8)


@pytest.mark.parametrize(
    ("shape", "ranks", "found"),
    [((5, 2, 7), (5, 7), [5, 7]), ((5, 2, 7), (9, 3), [5, 3]), ((12, 2, 3), (12, 2), [4, 2])],
)
def test_a_full_rank_cuts_nothing(shape: tuple[int, ...], ranks: tuple[int, int], found: list[int]) -> None:
    """It keeps its basis, unless the mode is longer than its slices are many: then no more vectors than those."""
    kernel = np.random.default_rng(0).standard_normal(shape)
    core, factors = partial_tucker(kernel, (0, 2), ranks)
    assert [f.shape[1] for f in factors] == found == [core.shape[0], core.shape[2]]
    assert np.array_equal(factors[0], np.eye(5)) == (shape[0] == 5)
    lost = np.linalg.norm(kernel - np.einsum("ia,amb,jb->imj", factors[0], core, factors[1]))
    values = np.linalg.svd(unfolding(kernel, 2), compute_uv=False)
    assert lost == pytest.approx(np.linalg.norm(values[found[1] :]), abs=1e-12)


def test_the_core_s_train_may_be_truncated() -> None:
    kernel = np.random.default_rng(0).standard_normal((8, 3, 3, 10))
    cores = tt_tucker(kernel, (6, 7), ranks=(4, 5, 6))
    assert [core.shape for core in cores] == [(1, 8, 4), (4, 3, 5), (5, 3, 6), (6, 10, 1)]
    near = tt_tucker(kernel, (8, 10), eps=0.2)
    assert relative_error(kernel, near) <= 0.2


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"2 modes need as many ranks of at least 1, got \[0, 2\]"):
        tt_tucker(np.ones((3, 3, 3)), (0, 2))
    with pytest.raises(ValueError, match="not finite"):
        tt_tucker(np.full((3, 3, 3), np.inf), (2, 2))
    with pytest.raises(ValueError, match=r"needs at least two modes, got shape \[3\]"):
        tt_tucker(np.ones(3), (1, 1))
