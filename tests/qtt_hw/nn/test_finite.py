"""Values that no layer can compute with, found with the first channel or place that has one."""

import math

import pytest
import torch
from torch import nn

from qtt_hw.nn import TTConv3d
from qtt_hw.nn.finite import replace_unusable, unusable, unusable_tensors


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_channel_is_named(value: float) -> None:
    weight = torch.ones(4, 2, 3, 3, 3)
    assert unusable("conv.weight", weight) is None
    weight[3, 0], weight[2, 1, 2] = value, value
    assert unusable("conv.weight", weight) == "holds a value that is not finite, first in channel 2"
    assert unusable("core_h", torch.full((2, 2), value)) == "holds a value that is not finite, first at [0, 0]"
    assert unusable("number", torch.tensor(value)) == "holds a value that is not finite"


def test_what_float32_does_not_hold_and_variances() -> None:
    assert (
        unusable("bias", torch.tensor([1.0, 1e200]).double()) == "holds a value that is not finite, first in channel 1"
    )
    assert unusable("1.running_var", torch.tensor([1.0, -1.0])) == "holds a variance below 0, first in channel 1"
    assert unusable("1.running_mean", torch.tensor([1.0, -1.0])) is None
    assert unusable("1.num_batches_tracked", torch.tensor(3)) is None
    assert unusable("weight", torch.full((2,), math.nan, device="meta")) is None


def test_of_a_module_parameters_and_statistics_are_looked_at() -> None:
    net = nn.Sequential(TTConv3d(2, 4, 3, 2), nn.BatchNorm3d(4), nn.ReLU())
    net.register_buffer("best", torch.tensor(math.inf))  # of which no layer knows
    assert not list(unusable_tensors(net))
    net[1].running_mean[3] = math.nan
    net[0].core_h.data[0, 1] = math.inf
    assert [name for name, _ in unusable_tensors(net)] == ["0.core_h", "1.running_mean"]
    assert [name for name, _ in unusable_tensors(net[0])] == ["core_h"]
    assert not list(unusable_tensors(net, recurse=False))
    replace_unusable(net)
    assert not list(unusable_tensors(net)) and net[1].running_mean.tolist() == [1.0] * 4
    assert math.isinf(net.best)
