"""2D layers as 3D ones of depth 1."""

import pytest
import torch
from torch import nn

from qtt_hw.nn import ConvBlock
from qtt_hw.nn.planar import (
    as_volumes,
    axes_read,
    is_planar,
    of_axes,
    reading,
    squeezing_depth,
    volumetric,
    without_depth,
)

LAYERS = [
    nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0)),
    nn.Conv2d(4, 6, 3, padding="same", bias=False),
    nn.Conv2d(4, 6, (2, 3), padding="valid", dilation=(2, 1), groups=2),
    nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    nn.MaxPool2d(3, 2, 1),
    nn.MaxPool2d((1, 2), dilation=2, ceil_mode=True),
    nn.AvgPool2d((3, 2), 1, (1, 0), count_include_pad=False),
    nn.AvgPool2d(2, ceil_mode=True, divisor_override=3),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((2, 3)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_the_3d_layer_computes_the_same(layer: nn.Module) -> None:
    x = torch.randn(2, 4, 7, 6, generator=torch.Generator().manual_seed(0))
    volume = volumetric(layer)
    assert type(volume).__name__ == type(layer).__name__.replace("2d", "3d")
    with torch.no_grad():
        expected, found = layer(x), volume(as_volumes(x))
    assert found.shape[2] == 1 and torch.allclose(found.squeeze(2), expected, atol=1e-6)


def test_parameters_are_the_layer_s_own_and_no_random_numbers_are_drawn() -> None:
    layer = nn.Conv2d(4, 6, 3)
    before = torch.get_rng_state()
    volume = volumetric(layer)
    assert torch.equal(torch.get_rng_state(), before)
    assert volume.weight.data_ptr() == layer.weight.data_ptr() and volume.bias is layer.bias
    assert volume.weight.shape == (6, 4, 1, 3, 3)


def test_other_layers_are_left_as_they_are() -> None:
    for layer in (nn.Conv3d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()):
        assert volumetric(layer) is layer


def test_depth_comes_and_goes() -> None:
    x = torch.zeros(2, 3, 4, 5)
    assert as_volumes(x).shape == (2, 3, 1, 4, 5) and as_volumes(as_volumes(x)).shape == (2, 3, 1, 4, 5)
    assert without_depth(as_volumes(x)).shape == x.shape == without_depth(x).shape
    vectors = torch.zeros(2, 3)
    assert as_volumes(vectors).shape == (2, 3, 1, 1, 1)
    for axes, given in ((1, vectors), (3, x), (4, as_volumes(x))):
        assert of_axes(as_volumes(given), axes).shape == given.shape
    for shape in ((2, 3, 2, 4, 5), (2, 3, 4)):
        with pytest.raises(ValueError, match=r"takes \[N, C, H, W\] or \[N, C, 1, H, W\], got shape"):
            without_depth(torch.zeros(shape))


def test_a_network_of_2d_layers_takes_volumes_of_depth_one() -> None:
    net = squeezing_depth(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)))
    x = torch.randn(5, 1, 4, 4)
    assert torch.equal(net(x.unsqueeze(2)), net(x))
    volumes = ConvBlock(1, 2, 3)
    assert not is_planar(volumes) and not squeezing_depth(volumes)._forward_pre_hooks


def test_layers_say_with_how_many_axes_a_network_reads_its_input() -> None:
    image, volume = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4, 4)
    for example, counts in ((image, (4, 3)), (volume, (4,))):
        assert axes_read(nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 1)), example) == (3,)
        assert axes_read(nn.Sequential(nn.ReLU(), nn.MaxPool3d(2)), example) == counts
    assert axes_read(nn.Flatten(), image) == axes_read(nn.Flatten(), volume[:, :, :1]) == (4, 3)
    assert axes_read(nn.Flatten(), volume) == (4,) and axes_read(nn.Linear(2, 2), torch.zeros(1, 2)) == (1,)


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), 1),
        (nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), 1),
        (nn.Sequential(nn.Conv3d(6, 2, 1), nn.Flatten()), 4),
        (nn.Sequential(nn.Conv2d(6, 2, 1), nn.Flatten()), 3),
    ],
)
def test_a_network_takes_volumes_as_it_reads_them(net: nn.Module, count: int) -> None:
    x = torch.randn(3, 6, 1, 1, 1)
    wanted = net.eval()(of_axes(x, count))
    assert torch.equal(reading(squeezing_depth(net), x)(x), wanted)
    assert torch.equal(net(of_axes(x, count)), wanted)
