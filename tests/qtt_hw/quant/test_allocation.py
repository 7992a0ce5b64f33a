"""The choice of bits by layer against every choice that there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from qtt_hw.quant import allocation
from qtt_hw.quant.allocation import front, monotone

WIDTHS = (2, 3, 4, 8)


def random_layers(seed: int) -> tuple[list[dict[int, int]], list[dict[int, float]]]:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 50, 5)
    stored = [{bits: bits * int(count) for bits in WIDTHS} for count in counts]
    return stored, [monotone(dict(zip(WIDTHS, rng.exponential(1, 4).tolist(), strict=True))) for _ in counts]


@pytest.mark.parametrize("seed", range(3))
def test_no_choice_is_better(seed: int) -> None:
    stored, rises = random_layers(seed)
    every = [
        (
            sum(s[bits] for s, bits in zip(stored, c, strict=True)),
            sum(r[bits] for r, bits in zip(rises, c, strict=True)),
        )
        for c in product(WIDTHS, repeat=5)
    ]
    found = front(stored, rises)
    for choice in found:
        assert choice.stored_bits == sum(s[bits] for s, bits in zip(stored, choice.bits, strict=True))
        assert choice.rise == pytest.approx(sum(r[bits] for r, bits in zip(rises, choice.bits, strict=True)))
    for size, rise in every:
        assert min(choice.rise for choice in found if choice.stored_bits <= size) <= rise + 1e-12
    assert found[0].bits == (2,) * 5 and [c.stored_bits for c in found] == sorted({c.stored_bits for c in found})
    budget = int(np.median([size for size, _ in every]))
    assert front(stored, rises, budget) == [choice for choice in found if choice.stored_bits <= budget]
    assert front(stored, rises, min(size for size, _ in every) - 1) == []


def test_many_sizes_are_rounded_up_and_the_budget_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, rises = random_layers(4)
    exact = front(stored, rises)
    monkeypatch.setattr(allocation, "MOST_SIZES", 60)
    coarse = front(stored, rises)
    assert 1 < len(coarse) <= 61 and {choice.stored_bits for choice in coarse} != {c.stored_bits for c in exact}
    budget = exact[len(exact) // 2].stored_bits
    best = front(stored, rises, budget)[-1]
    assert best.stored_bits <= budget
    assert best.rise == pytest.approx(exact[len(exact) // 2].rise, abs=1.0)


def test_a_rise_is_none_below_that_of_more_bits() -> None:
    assert monotone({2: 0.5, 4: 0.7, 8: -0.1, 6: 0.0}) == {8: 0.0, 6: 0.0, 4: 0.7, 2: 0.7}


def test_without_layers_there_is_one_choice() -> None:
    (only,) = front([], [])
    assert (only.bits, only.stored_bits, only.rise) == ((), 0, 0.0)
