"""The residual networks for small images, and LeNet."""

import pytest
import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.kinds.add import AddStage
from qtt_hw.lower.kinds.subsample import SubsampleStage
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn import Subsample
from qtt_hw.nn.resnet import BasicBlock
from qtt_hw.nn.zoo import create, input_shape

IMAGE = Format(8, True, 7)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def by_formula(depth: int, convolutions: bool) -> int:
    """Parameters of a ResNet from its layers' sizes: weights of 3x3 kernels, and two a channel for batch norm."""
    n = (depth - 2) // 6
    total = 9 * 3 * 16 + 2 * 16
    for before, width in ((16, 16), (16, 32), (32, 64)):
        pairs = [(before, width)] + [(width, width)] * (2 * n - 1)
        if convolutions and before != width:
            pairs.append((before, width))
        total += sum(9 * a * b + 2 * b for a, b in pairs)
    return total + 65 * 10


@pytest.mark.parametrize(("depth", "pad"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)])
def test_resnets_have_the_published_size(depth: int, pad: int) -> None:
    assert parameters(create(f"resnet{depth}", shortcut="pad")) == pad == by_formula(depth, False)
    assert parameters(create(f"resnet{depth}")) == by_formula(depth, True) == pad + 23_232


def test_lenet_has_caffe_s_size() -> None:
    model = create("lenet")
    assert parameters(model) == 431_080
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert create("lenet", classes=7, input_shape=(3, 1, 32, 28))(torch.zeros(2, 3, 32, 28)).shape == (2, 7)


@pytest.mark.parametrize("shortcut", ["convolution", "pad"])
def test_resnet_answers_and_halves_its_maps_twice(shortcut: str) -> None:
    model = create("resnet20", classes=5, shortcut=shortcut)
    x = model.stem(torch.zeros(2, 3, 32, 32))
    shapes = [tuple((x := stage(x)).shape) for stage in model.stages]
    assert shapes == [(2, 16, 32, 32), (2, 32, 16, 16), (2, 64, 8, 8)]
    assert model.head(x).shape == (2, 5)
    kinds = [type(b.shortcut) for b in model.modules() if isinstance(b, BasicBlock)]
    changed = Subsample if shortcut == "pad" else nn.Sequential
    assert kinds == [nn.Identity] * 3 + [changed, nn.Identity, nn.Identity] * 2


def test_the_shortcut_without_parameters_takes_every_second_place() -> None:
    x = torch.randn(2, 3, 5, 4)
    y = Subsample(3, 8, 2)(x)
    assert y.shape == (2, 8, 3, 2) and torch.equal(y[:, 2:5], x[:, :, ::2, ::2])
    assert not y[:, :2].any() and not y[:, 5:].any()
    assert torch.equal(Subsample(3, 3, 2)(x.unsqueeze(2)), x[:, :, None, ::2, ::2])


@pytest.mark.parametrize("shortcut", ["convolution", "pad"])
def test_resnet_s_stages(shortcut: str) -> None:
    model = prepare(create("resnet20", shortcut=shortcut), torch.zeros(1, 3, 32, 32), input_format=IMAGE)
    names = [stage.name for stage in model.stage_list]
    assert names[:5] == ["stem.0", "stages.0.0.conv1", "stages.0.0.conv2", "stages.0.0.add", "stages.0.1.conv1"]
    sums = [stage for stage in model.stage_list if isinstance(stage, AddStage)]
    assert len(sums) == 9 and not any(stage.output_quantizer.signed for stage in sums)
    assert sums[0].inputs == ("stages.0.0.conv2", "stem.0") and sums[1].inputs[1] == "stages.0.0.add"
    skip = next(s for s in model.stage_list if s.name.startswith("stages.1.0.shortcut"))
    assert isinstance(skip, SubsampleStage) is (shortcut == "pad") and sums[3].inputs[1] == skip.name


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("resnet20", {"depth": 21}, "resnet: depth must be 6n \\+ 2, such as 20, 32, 44 or 56, got 21"),
        ("resnet20", {"shortcut": "zeros"}, "resnet: shortcut must be convolution or pad, got 'zeros'"),
        ("resnet20", {"widths": (16, 32)}, "resnet: 2 widths for 3 stages"),
        ("resnet20", {"input_shape": (1, 8, 8, 8)}, r"resnet: takes images \(C, 1, H, W\), got \[1, 8, 8, 8\]"),
        ("lenet", {"input_shape": (1, 1, 28, 15)}, r"lenet: takes images .* of at least 16 x 16, got \[1, 1, 28, 15\]"),
        ("lenet", {"input_shape": (1, 2, 28, 28)}, r"lenet: takes images .* of at least 16 x 16, got \[1, 2, 28, 28\]"),
    ],
)
def test_refusals(name: str, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create(name, **change)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 3, 2), "pads 4 channels with zeros, 3 are fewer"),
        ((4, 8, 0), "stride and channels must be at least 1, got 0 and 4"),
    ],
)
def test_shortcuts_are_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Subsample(*arguments)


def test_the_zoo_knows_their_inputs() -> None:
    assert input_shape("lenet") == (1, 1, 28, 28) and input_shape("resnet56") == (3, 1, 32, 32)
