import pytest
import torch

from qtt_hw.lower.prepare import prepare
from qtt_hw.nn.zoo import create


def test_vgg16_has_the_size_known_for_cifar() -> None:
    model = create("vgg16")
    # Thirteen convolutions, batch norm on their 4224 channels, one linear layer.
    assert sum(p.numel() for p in model.parameters()) == 14_710_464 + 2 * 4224 + 5130
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert create("vgg16", classes=100, input_shape=(3, 1, 64, 32))(torch.zeros(1, 3, 64, 32)).shape == (1, 100)


def test_it_can_be_prepared() -> None:
    model = create("vgg16", groups=((4,), (6, 6)), input_shape=(3, 1, 8, 8), classes=3).eval()
    prepared = prepare(model, torch.zeros(1, 3, 8, 8))
    names = [stage.name for stage in prepared.stage_list]
    assert names[:2] == ["conv1_1.conv", "pool1"] and names[-1] == "linear"


def test_images_too_small() -> None:
    with pytest.raises(ValueError, match=r"vgg: takes images \(C, 1, H, W\) of at least 32 x 32, got \[3, 1, 32, 16\]"):
        create("vgg16", input_shape=(3, 1, 32, 16))
