"""TT-ranks and sizes."""

import numpy as np
import pytest

from qtt_hw.tt.shapes import check_ranks, full_ranks, inner_ranks, parameters
from qtt_hw.tt.svd import tt_svd


def test_one_rank_stands_for_all() -> None:
    assert inner_ranks(4, 5) == (4, 4, 4, 4)
    assert inner_ranks([1, 2, 3], 4) == (1, 2, 3)


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ([1, 2], r"one number or 4 of them, got \[1, 2\]"),
        (0, "at least 1, got .0, 0, 0, 0."),
        (2.5, "whole numbers, got 2.5"),
        (True, "whole numbers, got True"),
        ("4", "whole numbers, got '4'"),
        ([2.5] * 4, "whole numbers, got "),
        ([4, None, 2, 2], "whole numbers, got .4, None, 2, 2."),
    ],
)
def test_impossible_ranks(ranks: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inner_ranks(ranks, 5)  # type: ignore[arg-type]


def test_full_ranks_are_what_a_random_tensor_has() -> None:
    sizes = (3, 4, 2, 5)
    cores = tt_svd(np.random.default_rng(0).normal(size=sizes), eps=0.0)
    assert tuple(core.shape[2] for core in cores[:-1]) == full_ranks(sizes) == (3, 10, 5)
    assert sum(core.size for core in cores) == parameters(sizes, full_ranks(sizes))


def test_ranks_above_those_of_use_are_refused() -> None:
    sizes = (8, 3, 3, 12)
    check_ranks((8, 24, 12), sizes)
    check_ranks(24, sizes)  # one number stands for all, and some may be less
    for ranks, message in (
        ((9, 2, 2), r"ranks: 9 is above 8, the largest that is of use between modes 0 and 1 of \[8, 3, 3, 12\]"),
        ((2, 2, 9999), "ranks: 9999 is above 12, .* between modes 2 and 3"),
        (25, r"ranks: 25 is above 24, .* between modes 1 and 2 .*; the largest of all are \[8, 24, 12\]"),
    ):
        with pytest.raises(ValueError, match=message):
            check_ranks(ranks, sizes)
    check_ranks((9, 2, 2), sizes, free=(0,))
