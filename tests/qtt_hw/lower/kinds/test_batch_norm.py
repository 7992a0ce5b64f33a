"""Batch norms and ReLUs wherever they stand: joined to a stage before them, or stages of their own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, Table
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)
CHANNELS = 3


class Net(nn.Module):
    """A convolution, what the test does with its result, and a head."""

    def __init__(self, middle: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.middle = middle
        self.stem = nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1)
        self.one, self.two = nn.BatchNorm3d(CHANNELS), nn.BatchNorm3d(CHANNELS)
        self.flat = nn.BatchNorm1d(CHANNELS * 8)
        self.pool, self.relu = nn.AvgPool3d((1, 2, 1)), nn.ReLU()
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self, self.stem(x)), 1))


#: By what is done: how many contractions and tables there are then.
MIDDLES: list[tuple[Callable[[nn.Module, Tensor], Tensor], int, int]] = [
    (lambda net, x: net.one(x).relu(), 2, 0),
    (lambda net, x: net.one(x.relu()), 3, 0),
    (lambda net, x: net.two(net.one(x)).relu(), 3, 0),
    (lambda net, x: net.one(x) + x, 3, 0),
    (lambda net, x: net.one(x) + net.two(x), 4, 0),
    (lambda net, x: net.one(net.pool(x)), 3, 0),
    (lambda net, x: net.relu(net.pool(x)), 2, 1),
    (lambda net, x: net.relu(x) + x, 2, 1),
    (lambda net, x: net.one(net.relu(net.two(x) + x)), 4, 0),
    (lambda net, x: net.flat(net.pool(x).flatten(1)), 3, 0),
]


@pytest.mark.parametrize(("middle", "contractions", "tables"), MIDDLES)
def test_they_compute_what_the_model_does(inputs, assert_equal, middle, contractions, tables) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (4, 2, 4, 2, CHANNELS), 1)
    net = Net(middle)
    net(values)
    for norm in (net.one, net.two, net.flat):
        nn.init.uniform_(norm.weight, -1.0, 1.0)
        nn.init.uniform_(norm.bias)
    prepared = prepare(net, values, QuantConfig(weight_bits=8), IMAGE)
    prepared.calibrate([values], estimate_statistics=True)
    nodes = assert_equal(prepared, np.asarray(x), values).nodes
    assert sum(isinstance(node, Contraction) for node in nodes) == contractions
    assert sum(isinstance(node, Table) for node in nodes) == tables


def test_a_norm_before_all_layers_and_behind_them(inputs, assert_equal) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (4, 2, 2, 2, CHANNELS), 1)
    net = nn.Sequential(nn.BatchNorm3d(CHANNELS), nn.Flatten(), nn.Linear(24, 5), nn.ReLU(), nn.BatchNorm1d(5))
    prepared = prepare(net, values, QuantConfig(weight_bits=4, last_weight_bits=8), IMAGE)
    prepared.calibrate([values], estimate_statistics=True)
    graph = assert_equal(prepared, np.asarray(x), values)
    first, linear, last = (node for node in graph.nodes if isinstance(node, Contraction))
    assert (first.groups, linear.groups, last.groups) == (CHANNELS, 1, 5) and first.weight_format.bits == 2
    assert linear.weight_format.bits == 8 and last.requant.out.bits == 16


def test_another_axis_than_the_channels_is_refused_by_name() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.head = nn.BatchNorm3d(4), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.norm(x.transpose(1, 2)).flatten(1))

    with pytest.raises(
        ValueError, match=r"norm \(BatchNorm3d\) normalises the first axis of \[N, D, .*not the channels"
    ):
        prepare(Net(), torch.zeros(2, 1, 4, 2, 1), input_format=IMAGE)
