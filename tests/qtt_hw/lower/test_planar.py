"""2D networks: the stages of their 3D twins of depth 1, equal to the golden model in every phase."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import golden
from qtt_hw.graph.file import load, save
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn import TTConv2d
from qtt_hw.nn.zoo import create, input_shape
from qtt_hw.quant import QuantConfig
from tests.batch_norms import disturb

IMAGE = Format(8, True, 7)


class Planar(nn.Module):
    """A small residual network of 2D layers on [N, 2, 8, 6]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.conv = nn.Sequential(nn.Conv2d(4, 4, (3, 1), padding="same", bias=False), nn.BatchNorm2d(4))
        self.tail = nn.Sequential(
            nn.Dropout2d(), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(self.tail(torch.relu(self.conv(x) + x)))


class Solid(Planar):
    """The same of 3D layers, on [N, 2, 1, 8, 6]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(2, 4, (1, 3, 3), padding=(0, 1, 1), bias=False), nn.BatchNorm3d(4), nn.ReLU()
        )
        self.conv = nn.Sequential(nn.Conv3d(4, 4, (1, 3, 1), padding="same", bias=False), nn.BatchNorm3d(4))
        self.tail = nn.Sequential(
            nn.Dropout3d(),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            nn.AvgPool3d((1, 2, 2), 1),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
        )


def test_a_2d_network_and_its_3d_twin_become_the_same_stages(inputs, assert_equal) -> None:
    torch.manual_seed(0)
    planar = Planar()
    solid = Solid()
    solid.load_state_dict({name: v.unsqueeze(2) if v.ndim == 4 else v for name, v in planar.state_dict().items()})
    x, values = inputs(IMAGE, (6, 1, 8, 6, 2), 0)
    one, two = prepare(planar, values[:1, :, 0], input_format=IMAGE), prepare(solid, values[:1], input_format=IMAGE)
    assert repr(one) == repr(two) and one.input == two.input
    one.calibrate([values[:, :, 0]])
    two.calibrate([values])
    assert_equal(one, x, values)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    for mode in (False, True):
        assert torch.equal(one.train(mode)(values[:, :, 0]), two.train(mode)(values))
    assert one.forward_all(values[:, :, 0])["stem.0"].shape == (6, 4, 1, 8, 6)


def test_the_example_may_have_a_depth_axis_of_one() -> None:
    for shape in ((1, 2, 8, 6), (1, 2, 1, 8, 6)):
        assert prepare(Planar(), torch.zeros(shape), input_format=IMAGE).input.shape == (1, 8, 6, 2)
        assert all(row.supported for row in check(Planar(), torch.zeros(shape), IMAGE))
    text = r"^a network of 2D layers takes \[N, C, H, W\] or \[N, C, 1, H, W\], got shape \[1, 2, 3, 8, 6\]$"
    with pytest.raises(ValueError, match=text):
        prepare(Planar(), torch.zeros(1, 2, 3, 8, 6), input_format=IMAGE)


def test_the_prepared_model_refuses_other_depths() -> None:
    model = prepare(Planar(), torch.zeros(1, 2, 8, 6), input_format=IMAGE)
    for bad in (torch.zeros(3, 2, 2, 8, 6), torch.zeros(3, 2, 8, 7), torch.zeros(2, 8, 6)):
        with pytest.raises(ValueError, match=r"the model takes \[N, 2, 1, 8, 6\]$"):
            model.calibrate([bad])


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            nn.AdaptiveAvgPool2d(5),
            (
                "0 (AdaptiveAvgPool2d) has output size (1, 5, 5), which is not supported, as it does not divide the "
                "map's [1, 8, 6]; windows of several sizes would be another kind of pool"
            ),
        ),
        (
            nn.ConvTranspose2d(2, 2, 3),
            (
                "0 (ConvTranspose2d) is not supported; a convolution in its place would be another network, to be "
                "trained as such"
            ),
        ),
        (
            nn.InstanceNorm2d(2),
            (
                "0 (InstanceNorm2d) is not supported; batch norm behind a convolution in its place would be "
                "another network, to be trained as such"
            ),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_2d_layers_are_refused_like_3d_ones(layer: nn.Module, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        prepare(nn.Sequential(layer, nn.Conv2d(2, 2, 1)), torch.zeros(1, 2, 8, 6), input_format=IMAGE)
    assert str(caught.value).split("; 1 more")[0] == text  # the results are a volume


def test_a_squeeze_in_forward_changes_no_value() -> None:
    class Squeezes(Planar):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.unsqueeze(2).squeeze(-3))

    prepare(Squeezes(), torch.zeros(1, 2, 8, 6), input_format=IMAGE)


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A random chain of 2D layers with its input's (D, H, W, C)."""
    size = [draw(st.integers(2, 9)) for _ in range(2)]
    channels = draw(st.integers(1, 4))
    shape = (1, *size, channels)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(0, 4))):
        kernel = tuple(draw(st.integers(1, min(3, n))) for n in size)
        stride = tuple(draw(st.integers(1, 3)) for _ in size)
        padding = tuple(draw(st.integers(0, (k - 1) // 2)) for k in kernel)
        kind = draw(st.sampled_from(["conv", "tt", "max", "average"]))
        if kind in ("conv", "tt"):
            out, bias = draw(st.integers(1, 6)), draw(st.booleans())
            if kind == "conv":
                layers.append(nn.Conv2d(channels, out, kernel, stride, padding, bias=bias))
            else:
                rank = draw(st.integers(1, 4))
                layers.append(TTConv2d(channels, out, kernel, rank, stride, padding, bias, redundant_ranks=True))
            channels = out
            if draw(st.booleans()):
                layers.append(nn.BatchNorm2d(channels))
            if draw(st.booleans()):
                layers.append(nn.ReLU())
        elif kind == "max":
            layers.append(nn.MaxPool2d(kernel, stride, padding))
        else:
            layers.append(nn.AvgPool2d(kernel, stride, padding, count_include_pad=False))
        size = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True)]
    layers += [nn.Flatten(), nn.Linear(channels * int(np.prod(size)), draw(st.integers(2, 4)))]
    return nn.Sequential(*layers), shape


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.integers(2, 8), st.integers(2, 8), st.integers(0, 2**31))
def test_random_2d_networks_are_equal_in_every_phase(
    inputs, assert_equal, network, weight_bits: int, bits: int, seed: int
) -> None:
    model, shape = network
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    disturb(model)
    x, values = inputs(IMAGE, (4, *shape), seed)
    config = QuantConfig(weight_bits=weight_bits, activation_bits=bits)
    prepared = prepare(model, values[:1, :, 0], config, IMAGE)
    prepared.calibrate([values[:, :, 0]])
    assert_equal(prepared, x, values)
    prepared.freeze_scales()
    prepared.freeze_statistics([values])
    assert_equal(prepared, x, values[:, :, 0])
    evaluated = prepared(values)
    prepared.train()
    assert torch.equal(prepared(values[:, :, 0]), evaluated)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("lenet", {}), ("resnet20", {"shortcut": "pad"}), ("resnet20", {"widths": (4, 8, 8)})],
)
def test_the_named_2d_networks_are_equal(inputs, assert_equal, tmp_path: Path, name: str, arguments: dict) -> None:
    torch.manual_seed(0)
    net = create(name, **arguments)
    disturb(net)
    c, _, h, w = input_shape(name)
    x, values = inputs(IMAGE, (2, 1, h, w, c), 0)
    model = prepare(net, values[:1], QuantConfig(weight_bits=4, activation_bits=5), IMAGE)
    model.calibrate([values])
    assert_equal(model, x, values)
    model.freeze_scales()
    model.freeze_statistics([values])
    graph = assert_equal(model, x, values)
    assert torch.equal(model.train()(values), model.eval()(values))
    save(graph, tmp_path / "model.qtt")
    (logits,) = golden.run(load(tmp_path / "model.qtt"), x).values()
    assert np.array_equal(logits, golden.run(graph, x)[graph.nodes[-1].name])


class Block(nn.Module):
    """A block as torchvision writes them: ReLUs and the sum in place, and a shortcut that may be none."""

    def __init__(self, channels: int, out: int, stride: int, activation: type[nn.Module] = nn.Identity) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.relu, self.act = nn.ReLU(inplace=True), activation()
        conv = nn.Conv2d(channels, out, 1, stride, bias=False)
        self.downsample = nn.Sequential(conv, nn.BatchNorm2d(out)) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.act(self.bn2(self.conv2(out)))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


def blocks(activation: type[nn.Module] = nn.Identity) -> nn.Module:
    torch.manual_seed(0)
    stem = (nn.Conv2d(2, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
    head = (nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(6, 3))
    return nn.Sequential(*stem, Block(4, 4, 1, activation), Block(4, 6, 2), *head)


def test_blocks_that_work_in_place_are_equal(inputs, assert_equal) -> None:
    net = blocks()
    disturb(net)
    x, values = inputs(IMAGE, (4, 1, 16, 12, 2), 0)
    model = prepare(net, values[:1], input_format=IMAGE)
    assert [stage.inputs for stage in model.stage_list if stage.name.endswith("add")] == [
        ("4.conv2", "3"),
        ("5.conv2", "5.downsample.0"),
    ]
    model.calibrate([values])
    assert_equal(model, x, values)


def test_a_layer_that_cannot_be_lowered_is_not_held_against_the_sum_behind_it() -> None:
    rows = {row.layer: row for row in check(blocks(partial(nn.LocalResponseNorm, 2)), torch.zeros(1, 2, 16, 12), IMAGE)}
    assert [name for name, row in rows.items() if not row.supported] == ["4.act"]
    reason = rows["4.act"].instead
    assert reason.startswith("is not supported; batch norm behind a convolution in its place would be another network")
    assert {"4.add", "4.relu", "5.add"} <= set(rows)
