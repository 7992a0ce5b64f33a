"""TTLinear against the dense layer that it stands for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qtt_hw.nn import TTLinear


@given(
    st.sampled_from([((24,), (30,)), ((4, 6), (5, 6)), ((6, 4), (30, 1)), ((2, 3, 4), (5, 3, 2)), ((1, 24), (6, 5))]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_full_rank_train_is_the_linear_layer(modes: tuple, bias: bool, seed: int) -> None:
    torch.manual_seed(seed)
    linear = nn.Linear(24, 30, bias=bias)
    layer = TTLinear.from_dense(linear, *modes, eps=0.0)
    x = torch.randn(3, 24)
    assert torch.allclose(layer(x), linear(x), atol=1e-5)
    assert torch.allclose(layer.composed_weight(), linear.weight.double(), atol=1e-6)
    assert layer.relative_error < 1e-12


def test_from_dense_keeps_within_eps_and_reports_its_error() -> None:
    torch.manual_seed(1)
    linear = nn.Linear(36, 36)
    layer = TTLinear.from_dense(linear, (6, 6), (6, 6), eps=0.4)
    weight = linear.weight.detach().double()
    error = float((layer.composed_weight() - weight).norm() / weight.norm())
    assert layer.ranks[0] < 36 and error <= 0.4
    assert abs(error - layer.relative_error) < 1e-6


def test_ranks_shapes_and_initial_variance() -> None:
    torch.manual_seed(0)
    layer = TTLinear((4, 8, 8), (4, 4, 4), (6, 5))
    assert [tuple(core.shape) for core in layer.cores] == [(1, 4, 4, 6), (6, 8, 4, 5), (5, 8, 4, 1)]
    assert layer.bias is None and (layer.in_features, layer.out_features) == (256, 64)
    assert abs(float(layer.composed_weight().square().mean()) * 256 / 2 - 1.0) < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4, 2), (4,), 2), "must pair up"),
        (((), (), 2), "must pair up"),
        (((4, 0), (4, 2), 2), "modes must be at least 1"),
        (((4, 2), (4, 2), (1, 2)), "ranks must be one number or 1 of them"),
    ],
)
def test_refusals(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TTLinear(*arguments)


def test_from_dense_refuses_other_sizes() -> None:
    with pytest.raises(ValueError, match="do not multiply to 24 inputs and 30 outputs"):
        TTLinear.from_dense(nn.Linear(24, 30), (4, 5), (5, 6), ranks=2)


def test_ranks_of_no_use_are_refused_and_growth_is_told() -> None:
    with pytest.raises(ValueError, match=r"TTLinear\(\(4, 2\), \(4, 2\)\): ranks: 5 is above 4"):
        TTLinear((4, 2), (4, 2), 5)
    assert TTLinear((4, 2), (4, 2), 5, redundant_ranks=True).reordered((2, 4), (4, 2)).ranks == (5,)
    with pytest.warns(UserWarning, match="80 parameters, more than the 64 of the dense layer"):
        TTLinear((4, 2), (4, 2), 4)
