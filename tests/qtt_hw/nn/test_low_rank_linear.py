"""LowRankLinear against the linear layer that it stands for."""

import numpy as np
import pytest
import torch
from torch import nn

from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn.low_rank_linear import LowRankLinear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(2, 12), (2, 3, 4, 12)])
def test_at_full_rank_nothing_is_lost(shape: tuple, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(12, 5, bias=bias)
    layer = LowRankLinear.from_dense(linear, 5)
    x = torch.randn(shape)
    assert torch.allclose(layer(x), linear(x), atol=1e-5)
    assert layer.ranks == (5,) and layer.relative_error < 1e-6 and len(list(layer.parameters())) == 2 + bias


def test_a_lower_rank_is_the_nearest() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(12, 8).double()
    values = torch.linalg.svdvals(linear.weight.detach())
    layer = LowRankLinear.from_dense(linear, ranks=(3,))
    nearest = float((values[3:].square().sum() / values.square().sum()).sqrt())
    assert layer.relative_error == pytest.approx(nearest)
    composed = (layer.last.weight @ layer.first.weight).detach()
    assert float((composed - linear.weight.detach()).norm() / linear.weight.detach().norm()) == pytest.approx(nearest)
    assert LowRankLinear.from_dense(linear, eps=nearest + 1e-9).ranks == (3,)
    # Neither of the two holds all of the singular values.
    assert torch.allclose(layer.first.weight.norm(dim=1), layer.last.weight.norm(dim=0))
    zero = nn.Linear(4, 4)
    nn.init.zeros_(zero.weight)
    assert not LowRankLinear.from_dense(zero, 2)(torch.ones(1, 4)).sub(zero.bias).any()


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"LowRankLinear from Linear\(12, 5\): ranks: 6 is above 5"):
        LowRankLinear.from_dense(nn.Linear(12, 5), (6,))
    assert LowRankLinear.from_dense(nn.Linear(12, 5), (6,), redundant_ranks=True).ranks == (5,)
    with pytest.raises(ValueError, match="a LowRankLinear is made from a Linear, got a Conv3d; a TTConv3d is made"):
        LowRankLinear.from_dense(nn.Conv3d(4, 4, 1), 2)  # type: ignore[arg-type]


def test_behind_a_map_it_reads_the_map_as_it_comes() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), LowRankLinear.from_dense(nn.Linear(24, 6), 2), nn.ReLU(), nn.Linear(6, 3))
    x = torch.randint(0, 2, (8, 3, 1, 2, 4)).float()
    prepared = prepare(net.eval(), x[:1])
    prepared.calibrate([x])
    graph = freeze(prepared, input_spec((1, 2, 4, 3)))
    assert [node.name for node in graph.nodes] == ["1.first", "1.last", "3"]
    assert np.prod(graph.nodes[0].weight.shape) == 24 * 2
