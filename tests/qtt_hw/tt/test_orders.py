"""Orders of modes against a search over all of them."""

from itertools import permutations, product

import pytest

from qtt_hw.tt.chain import ContractionPath, contraction_steps, cost, paths
from qtt_hw.tt.orders import Ordered, orders


def test_text_and_back() -> None:
    for ordered in (Ordered("0 1-3"), Ordered("2-3 1 0", (4, 2, 4), (2, 12, 4))):
        assert Ordered.parse(str(ordered)) == ordered
    assert str(Ordered("0 1", (4,), (2,))) == "0 1 of 4 to 2"
    with pytest.raises(ValueError, match=r"path '0 1 of 4x2': modes are written as in '0 1 of 4,2 to 2,4'"):
        Ordered.parse("0 1 of 4x2")


@pytest.mark.parametrize("taps", [0, 27])
def test_what_is_left_is_what_nothing_beats(taps: int) -> None:
    taken, made, ranks = (2, 4, 3), (3, 2, 2), (3, 4) if not taps else (3, 4, 2)
    front = (1,) if taps else ()
    for path in paths(len(taken) + len(front)):

        def both(order: tuple, path: ContractionPath = path) -> tuple[int, int]:
            steps = contraction_steps((*front, *order[0]), (*front, *order[1]), ranks, path)
            weights = [s.in_size * s.out_size * (taps if taps and s.first == 0 else 1) for s in steps]
            return cost(steps, taps or 1), sum(weights)

        found = list(orders(taken, made, ranks, path, taps))
        every = {order: both(order) for order in product(set(permutations(taken)), set(permutations(made)))}
        costs = [every[order] for order in found]
        assert len(set(costs)) == len(costs)
        for cost_ in every.values():
            assert any(a <= cost_[0] and b <= cost_[1] for a, b in costs)
        for a, b in costs:
            assert not any((m, w) != (a, b) and m <= a and w <= b for m, w in every.values())


def test_the_given_order_stands_among_equals() -> None:
    assert list(orders((2, 2), (3, 3), (2, 2), ContractionPath.core_by_core(3), 27)) == [((2, 2), (3, 3))]


def test_large_input_and_small_output_modes_first_for_a_spatial_core_first() -> None:
    """QTTNet's 64 -> 128 layer: with its own modes in another order 88 064 multiplications for 143 360."""
    own, rank = ((2, 4, 2, 4), (4, 2, 4, 4)), (16, 16, 16, 16)

    def best(order: tuple) -> int:
        return min(cost(contraction_steps((1, *order[0]), (1, *order[1]), rank, path), 27) for path in paths(5))

    least = min(best(order) for path in paths(5) for order in orders(*own, rank, path, 27))
    assert best(own) == 143_360 and best(((4, 2, 4, 2), (2, 4, 4, 4))) == 88_064
    assert least <= 88_064
