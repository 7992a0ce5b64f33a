"""Convolutions of every form: grouped, depthwise, dilated."""

import numpy as np
import pytest
import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)


def separable() -> nn.Sequential:
    """A MobileNet's block on video: pointwise, depthwise and dilated, pointwise; and one of two groups."""
    return nn.Sequential(
        nn.Conv3d(2, 6, 1, bias=False),
        nn.BatchNorm3d(6),
        nn.ReLU(),
        nn.Conv3d(6, 12, 3, padding=2, dilation=2, groups=6, bias=False),
        nn.BatchNorm3d(12),
        nn.ReLU(),
        nn.Conv3d(12, 4, (1, 3, 2), stride=(1, 2, 1), padding="valid", dilation=(1, 1, 3), groups=2),
        nn.ReLU(),
        nn.MaxPool3d((1, 2, 1), 1, dilation=(1, 1, 2)),
        nn.Flatten(),
        nn.LazyLinear(3),
    )


@pytest.mark.parametrize("config", [QuantConfig(weight_bits=8), QuantConfig(weight_bits=4, codebook="dqc")], ids=str)
def test_groups_and_dilated_taps_are_equal_to_the_golden_model(inputs, assert_equal, config) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (5, 4, 6, 5, 2), 1)
    net = separable()
    net(values)
    prepared = prepare(net, values, config, IMAGE)
    prepared.calibrate([values], estimate_statistics=True)
    graph = assert_equal(prepared, np.asarray(x), values)
    nodes = [node for node in graph.nodes if isinstance(node, Contraction)]
    assert [node.groups for node in nodes] == [1, 6, 2, 1]
    assert nodes[1].weight.shape == (12, 3, 3, 3, 1) and nodes[1].window.dilation == (2, 2, 2)


def test_padding_same_is_that_of_the_dilated_kernel(inputs, assert_equal) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (2, 5, 6, 4, 1), 1)
    net = nn.Sequential(nn.Conv3d(1, 2, (2, 3, 3), padding="same", dilation=(2, 2, 1)), nn.Flatten(), nn.LazyLinear(2))
    net(values)
    prepared = prepare(net, values, QuantConfig(weight_bits=8), IMAGE)
    prepared.calibrate([values])
    assert_equal(prepared, np.asarray(x), values)


def test_a_window_in_padding_alone_is_refused_by_name() -> None:
    conv = nn.Conv3d(1, 1, (1, 1, 2), padding=(0, 0, 1), dilation=(1, 1, 2))
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(1, 2))
    message = r"0 \(Conv3d\) does not fit its input: axis W: a window of kernel 2 of dilation 2 lies wholly in padding"
    with pytest.raises(ValueError, match=message):
        prepare(net, torch.zeros(1, 1, 1, 1, 1), input_format=IMAGE)
