"""The order of contraction against one dense product."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.tt.chain import contract_chain, contraction_steps, cost, final_order


def dense(cores: list[np.ndarray]) -> np.ndarray:
    """W[s..., c...] of cores [r, c, s, r'], summed over ranks by einsum."""
    d = len(cores)
    ranks, ins, outs = "abcdef"[: d + 1], "ijklm"[:d], "uvwxy"[:d]
    terms = ",".join(ranks[i] + ins[i] + outs[i] + ranks[i + 1] for i in range(d))
    result = np.einsum(f"{terms}->{outs}{ins}", *cores)
    return result.reshape(math.prod(c.shape[2] for c in cores), -1)


@given(st.integers(1, 4), st.data())
def test_steps_are_the_dense_product(d: int, data: st.DataObject) -> None:
    sizes = st.lists(st.integers(1, 4), min_size=d, max_size=d)
    ins, outs = data.draw(sizes), data.draw(sizes)
    ranks = data.draw(st.lists(st.integers(1, 3), min_size=d - 1, max_size=d - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    ends = [1, *ranks, 1]
    cores = [rng.integers(-3, 4, (ends[i], ins[i], outs[i], ends[i + 1])) for i in range(d)]
    steps = contraction_steps(ins, outs, ranks)
    weights = [cores[s.core].transpose(s.axes).reshape(s.out_size, s.in_size) for s in steps]
    x = rng.integers(-3, 4, (2, math.prod(ins)))
    assert np.array_equal(contract_chain(x, weights, steps), x @ dense(cores).T)
    done = sum(s.positions * s.in_size * s.out_size for s in steps)
    assert done == min(cost(ins, outs, ranks, True), cost(ins, outs, ranks, False))


def test_cheaper_end_comes_first() -> None:
    # Few outputs at the first core: contracting it first shrinks the state at once.
    assert [s.core for s in contraction_steps((8, 2), (1, 8), (2,))] == [0, 1]
    assert [s.core for s in contraction_steps((2, 8), (8, 1), (2,))] == [1, 0]


def test_a_step_carries_what_comes_later_and_what_is_made() -> None:
    first, second, third = contraction_steps((7, 6, 4), (2, 3, 5), (8, 9))
    assert [mode for mode, _ in second.carried] == [("c", 2), ("s", 0)]
    assert [mode for mode, _ in second.taken] == [("r", 1), ("c", 1)]
    assert [mode for mode, _ in second.made] == [("s", 1), ("r", 2)]
    assert (first.positions, second.positions, third.positions) == (24, 8, 6)


@pytest.mark.parametrize("forward", [True, False])
def test_final_order_puts_outputs_most_significant_first(forward: bool) -> None:
    ins, outs = ((8, 2, 2), (1, 2, 3)) if forward else ((2, 2, 8), (3, 2, 1))
    steps = contraction_steps(ins, outs, (2, 2))
    assert (steps[0].core == 0) is forward
    order = [mode[1] for mode, _ in steps[-1].carried + steps[-1].made if mode[0] == "s"]
    labels = list(itertools.product(*(range(outs[i]) for i in order)))
    expected = list(itertools.product(*(range(n) for n in outs)))
    found = [labels[j] for j in final_order(steps)]
    assert [tuple(v[order.index(i)] for i in range(3)) for v in found] == expected
