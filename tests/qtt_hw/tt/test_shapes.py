"""TT-ranks and sizes."""

import numpy as np
import pytest

from qtt_hw.tt.shapes import full_ranks, inner_ranks, parameters
from qtt_hw.tt.svd import tt_svd


def test_one_rank_stands_for_all() -> None:
    assert inner_ranks(4, 5) == (4, 4, 4, 4)
    assert inner_ranks([1, 2, 3], 4) == (1, 2, 3)


@pytest.mark.parametrize(
    ("ranks", "message"), [([1, 2], r"one number or 4 of them, got \[1, 2\]"), (0, "at least 1, got .0, 0, 0, 0.")]
)
def test_impossible_ranks(ranks: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inner_ranks(ranks, 5)  # type: ignore[arg-type]


def test_full_ranks_are_what_a_random_tensor_has() -> None:
    sizes = (3, 4, 2, 5)
    cores = tt_svd(np.random.default_rng(0).normal(size=sizes), eps=0.0)
    assert tuple(core.shape[2] for core in cores[:-1]) == full_ranks(sizes) == (3, 10, 5)
    assert sum(core.size for core in cores) == parameters(sizes, full_ranks(sizes))
