"""Networks with fewer channels: which layers keep theirs."""

import torch
from torch import nn

from bench.thinning import thinned


def _network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 16, 3, groups=4, bias=False),
        nn.Flatten(),
        nn.Linear(16 * 4, 6),
        nn.Linear(6, 5),
    )


def test_channels_are_divided_but_for_the_inputs_and_the_outputs() -> None:
    model = thinned(_network(), 4)
    assert [tuple(layer.weight.shape) for layer in model if hasattr(layer, "weight")] == [
        (2, 3, 3, 3),
        (2,),
        (2, 1, 3, 3),  # a channel a group, as before
        (4, 2, 3, 3),  # one group of as many channels as before
        (2, 16),
        (5, 2),
    ]
    assert model(torch.rand(2, 3, 6, 6)).shape == (2, 5)


def test_batch_norms_have_no_statistics_afterwards() -> None:
    network = _network()
    network(torch.rand(4, 3, 6, 6))
    norm = thinned(network, 2)[1]
    assert isinstance(norm, nn.BatchNorm2d) and norm.num_features == 4
    assert norm.running_mean.tolist() == [0] * 4 and norm.running_var.tolist() == [1] * 4  # type: ignore[union-attr]
