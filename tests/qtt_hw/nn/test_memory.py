"""Memory order of parameters."""

import torch
from torch import nn

from qtt_hw.nn import QTTConv3d
from qtt_hw.nn.memory import channels_last


def test_kernels_are_channels_last_and_cores_as_they_were() -> None:
    model = nn.ModuleList([nn.Conv2d(4, 6, 3), nn.Conv3d(4, 6, 3), QTTConv3d(4, 4, (2, 2), (2, 2), ranks=3)])
    cores = {name: p.stride() for name, p in model[2].named_parameters() if p.ndim == 4}
    values = {name: value.clone() for name, value in model.state_dict().items()}
    assert channels_last(model) is model
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert cores and cores == {name: p.stride() for name, p in model[2].named_parameters() if p.ndim == 4}
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())
