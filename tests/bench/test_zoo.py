"""Networks written from their papers: as many parameters as published, and shapes at other sizes."""

import pytest
import torch
from torch import nn

from bench.zoo import (
    C3D,
    DSCNN,
    Autoencoder,
    DeepID,
    MobileNetV1,
    MobileNetV23d,
    ResNet8,
    ShuffleNetV23d,
    SqueezeNet3d,
    VoxNet,
)


@pytest.mark.parametrize(
    ("model", "published"),
    [(DSCNN(), 24_908), (MobileNetV1(), 221_794), (ResNet8(), 78_666), (Autoencoder(), 269_992)],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_networks_of_mlperf_tiny_have_the_published_number_of_parameters(model: nn.Module, published: int) -> None:
    """Keras counts the statistics of batch norm too."""
    statistics = sum(each.numel() for name, each in model.named_buffers() if "running" in name)
    assert sum(each.numel() for each in model.parameters()) + statistics == published


@pytest.mark.parametrize(
    ("model", "published"),
    [(VoxNet(), 921_736), (MobileNetV23d(), 3.12e6), (ShuffleNetV23d(), 1.91e6), (SqueezeNet3d(), 2.15e6)],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_3d_networks_have_the_published_number_of_parameters(model: nn.Module, published: float) -> None:
    digits = 6 if isinstance(published, int) else 3
    assert float(f"{sum(each.numel() for each in model.parameters()):.{digits}g}") == published


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (C3D(5, width=2, hidden=4, side=2), (3, 16, 32, 32)),
        (VoxNet(5, side=14), (1, 14, 14, 14)),
        (MobileNetV23d(5, 0.25, ((1, 16, 1, 1), (6, 24, 2, 2)), 8), (3, 4, 16, 16)),
        (ShuffleNetV23d(5, (4, 8, 12, 16, 8), (1, 2, 1)), (3, 4, 16, 16)),
        (SqueezeNet3d(5, 8), (3, 4, 16, 16)),
        (DeepID((3, 55, 47), 5), (3, 55, 47)),
        (DeepID(identities=5), (1, 39, 31)),
        (DSCNN(5, 4), (1, 49, 10)),
        (MobileNetV1(5, 0.125), (3, 96, 96)),
        (ResNet8(5, 2), (3, 32, 32)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_logits_of_narrow_networks(model: nn.Module, shape: tuple[int, ...]) -> None:
    assert model.eval()(torch.rand(2, *shape)).shape == (2, 5)


def test_the_autoencoder_restores_as_many_values_as_it_reads() -> None:
    assert Autoencoder(12, 4, 2).eval()(torch.rand(2, 12)).shape == (2, 12)


def test_a_shuffle_takes_a_channel_of_each_half_in_turn() -> None:
    from bench.zoo.shufflenet3d import shuffled

    assert shuffled(torch.arange(6.0).view(1, 6, 1, 1, 1), 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
