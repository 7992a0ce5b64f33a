"""Arithmetic with a value a channel: in the layer before, in the one behind, or a stage of its own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig
from tests.batch_norms import disturb

IMAGE = Format(8, True, 7)
Middle = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """conv, whatever the test does with parameters and buffers, then a head."""

    def __init__(self, middle: Middle, bias: bool = True) -> None:
        super().__init__()
        self.middle = middle
        self.conv, self.point = nn.Conv3d(2, 4, 1, bias=bias), nn.Conv3d(4, 4, 1)
        self.wide, self.norm = nn.Conv3d(4, 4, 3, padding=1, groups=2), nn.BatchNorm3d(4)
        self.scale = nn.Parameter(torch.randn(1, 4, 1, 1, 1))
        self.row = nn.Parameter(torch.randn(4))
        self.number = nn.Parameter(torch.tensor(0.75))
        self.register_buffer("mean", torch.randn(4, 1, 1, 1))
        self.register_buffer("var", torch.rand(1, 4, 1, 1, 1) + 0.5)
        self.head = nn.Linear(4 * 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self, self.conv(x)).flatten(1))


def _in_place(net: Net, x: Tensor) -> Tensor:
    x *= net.scale
    return x.add_(net.mean)


#: By what is done, the stages.
FOLLOWED: dict[str, tuple[Middle, list[str]]] = {
    "scale": (lambda net, x: x * net.scale, ["conv", "head"]),
    "left": (lambda net, x: net.scale * x, ["conv", "head"]),
    "named": (lambda net, x: torch.mul(input=net.scale, other=x), ["conv", "head"]),
    "bias": (lambda net, x: x + net.mean, ["conv", "head"]),
    "alpha": (lambda net, x: torch.add(x, net.scale, alpha=0.5), ["conv", "head"]),
    "from": (lambda net, x: net.scale - x, ["conv", "head"]),
    "normalised": (lambda net, x: (x - net.mean) / net.var.sqrt(), ["conv", "head"]),
    "in place": (_in_place, ["conv", "head"]),
    "view": (lambda net, x: x * net.row.view(1, -1, 1, 1, 1), ["conv", "head"]),
    "index": (lambda net, x: (x * net.row[:, None, None, None]).relu(), ["conv", "head"]),
    "channels last": (lambda net, x: (x.permute(0, 2, 3, 4, 1) * net.row).permute(0, 4, 1, 2, 3), ["conv", "head"]),
    "behind batch norm": (lambda net, x: net.norm(x) * net.scale + net.mean, ["conv", "head"]),
    "before batch norm": (lambda net, x: net.norm(x * net.scale + net.mean), ["conv", "head"]),
    "batch norm alone": (lambda net, x: net.norm(x.relu()) * net.scale, ["conv", "norm", "head"]),
    "layer scale": (lambda net, x: x + net.row.view(4, 1, 1, 1) * net.wide(x), ["conv", "wide", "add", "head"]),
    "into the next": (lambda net, x: net.wide(x.relu() * net.scale), ["conv", "wide", "head"]),
    "offset into the next": (lambda net, x: net.point(x.relu() * net.scale + net.mean), ["conv", "point", "head"]),
    "dropout between": (
        lambda net, x: net.point(F.dropout(x.relu() * net.scale, 0.1, net.training)),
        ["conv", "point", "head"],
    ),
    "offset and padding": (lambda net, x: net.wide(x.relu() + net.mean), ["conv", "add", "wide", "head"]),
    "two readers": (lambda net, x: x + x * net.scale, ["conv", "mul", "add", "head"]),
    "pool behind": (lambda net, x: F.max_pool3d(x.relu() * net.scale, 1), ["conv", "mul", "max_pool3d", "head"]),
    "frozen batch norm": (
        lambda net, x: x * (net.var + 1e-5).rsqrt() - net.mean * (net.var + 1e-5).rsqrt(),
        ["conv", "head"],
    ),
    "number": (lambda net, x: x * net.number, ["conv", "head"]),
    "number added": (lambda net, x: x + net.number, ["conv", "head"]),
    "number behind": (lambda net, x: x.relu() * net.number, ["conv", "mul", "head"]),
    "power": (lambda net, x: x.relu() ** net.number, ["conv", "pow_1", "head"]),
    "swish": (lambda net, x: x * torch.sigmoid(net.number * x), ["conv", "mul_1", "head"]),
    "flat": (
        lambda net, x: (x.flatten(1) * torch.arange(32.0)).view(x.shape),
        ["conv", "mul.input.flatten", "mul.input.order", "mul", "head"],
    ),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("what", FOLLOWED)
def test_it_is_followed_exactly(what: str, bias: bool, inputs, assert_equal) -> None:
    torch.manual_seed(0)
    middle, stages = FOLLOWED[what]
    x, values = inputs(IMAGE, (16, 2, 2, 2, 2), 0)
    net = Net(middle, bias)
    disturb(net)
    net.norm.running_var[0] = 1.0
    prepared = prepare(net, values, QuantConfig(weight_bits=8), IMAGE)
    assert [stage.name for stage in prepared.stage_list] == stages
    prepared.calibrate([values])
    assert_equal(prepared, np.asarray(x), values)
    with torch.no_grad():
        expected = net.eval()(values)
    assert (prepared(values) - expected).abs().max() < 0.1 * expected.abs().max()
    prepared.freeze_scales()
    prepared.freeze_statistics()
    assert torch.equal(prepared.train()(values), prepared.eval()(values))


def trained(middle: Middle, **without: bool) -> dict[str, tuple[int, ...]]:
    """By name, the shapes of what the stage of conv trains beside its weight, scales not counted."""
    torch.manual_seed(0)
    net = Net(middle, bias=False)
    for name in without:
        getattr(net, name).requires_grad_(False)
    values = torch.randint(-128, 128, (64, 2, 2, 2, 2)) / 128
    prepared = prepare(net, values[:1], input_format=IMAGE)
    prepared.calibrate([values])
    prepared.train()(values).square().sum().backward()
    found = {name: p for name, p in prepared.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert {name for name, p in prepared.named_parameters() if p.requires_grad and "log2_scale" not in name} <= set(
        found
    )
    shapes = {name.removeprefix("stages."): tuple(p.shape) for name, p in found.items()}
    return {name: shape for name, shape in shapes.items() if "log2_scale" not in name and name.count(".") > 1}


def test_parameters_are_trained_and_constants_are_not() -> None:
    assert trained(lambda net, x: x * net.scale) == {"0.batch_norm.weight": (4,)}
    assert trained(lambda net, x: x * net.scale, scale=False) == {}
    assert trained(lambda net, x: (x - net.mean) / net.var) == {}
    assert trained(lambda net, x: x * net.scale + net.row.view(4, 1, 1, 1)) == {
        "0.batch_norm.weight": (4,),
        "0.batch_norm.bias": (4,),
    }
    assert trained(lambda net, x: x * net.number) == {"0.batch_norm.weight": (1,)}
    assert trained(lambda net, x: x.relu().pow(net.number)) == {"1.function.trained.1.values.0": ()}


def test_an_addition_alone_is_the_layer_s_bias() -> None:
    prepared = prepare(Net(lambda net, x: x + net.scale), torch.zeros(1, 2, 2, 2, 2), input_format=IMAGE)
    assert prepared.contractions[0].batch_norm is None and prepared.contractions[0].bias.requires_grad


def test_layer_scale_of_nearly_nothing_as_it_begins_with(inputs, assert_equal) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (64, 2, 2, 2, 2), 0)
    net = Net(lambda net, y: y + net.scale * net.wide(y))
    nn.init.constant_(net.scale, 1e-6)
    prepared = prepare(net, values[:1], QuantConfig(weight_bits=8), IMAGE)
    prepared.calibrate([values])
    graph = assert_equal(prepared, np.asarray(x), values)
    assert isinstance(graph.nodes[1], Contraction) and graph.nodes[1].requant.affine


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (
            lambda net, x: x * torch.rand(4, 2, 2, 2),
            (
                "mul (mul) takes a tensor of shape [4, 2, 2, 2] beside [N, C, D, H, W], which is not supported; one "
                "value a channel, or a single number, is"
            ),
        ),
        (
            lambda net, x: torch.maximum(x, net.scale),
            (
                "maximum (maximum) takes a tensor of shape [1, 4, 1, 1, 1], which is not supported; it is as a factor, "
                "a divisor or a summand"
            ),
        ),
        (
            lambda net, x: net.scale / x,
            (
                "truediv (truediv) takes a tensor of shape [1, 4, 1, 1, 1], which is not supported; it is as a factor, "
                "a divisor or a summand"
            ),
        ),
        (
            lambda net, x: net.point(x * net.scale) * net.scale,
            "mul_1 (mul) shares its parameter with mul, which is not supported; a copy of it would train apart",
        ),
        (
            lambda net, x: x * net.scale.exp(),
            (
                "exp (exp) is computed of the parameter scale, which would not be trained by it; keep the result as "
                "the parameter"
            ),
        ),
    ],
)
def test_what_is_refused(middle: Middle, text: str) -> None:
    rows = [row for row in check(Net(middle), torch.zeros(2, 2, 2, 2, 2), IMAGE) if not row.supported]
    assert [f"{row.layer} ({row.type}) {row.instead}" for row in rows] == [text]


def test_a_layer_that_is_not_trained_takes_in_no_parameter_of_its_input(inputs, assert_equal) -> None:
    x, values = inputs(IMAGE, (16, 1, 2, 2, 2), 0)

    class Planar(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.conv, self.head = nn.Parameter(torch.rand(2, 1, 1)), nn.Conv2d(2, 2, 1), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv(x * self.scale).flatten(1))

    net = Planar()
    assert [s.name for s in prepare(net, values, input_format=IMAGE).stage_list] == ["conv", "head"]
    net.conv.requires_grad_(False)
    prepared = prepare(net, values, input_format=IMAGE)
    assert [stage.name for stage in prepared.stage_list] == ["mul", "conv", "head"]
    prepared.calibrate([values])
    assert_equal(prepared, np.asarray(x), values)


def test_factors_and_summands_that_are_not_finite_are_refused_by_channel() -> None:
    net = Net(lambda net, x: (x - net.mean) / net.var)
    net.var[0, 2] = 0.0
    said = "; give it finite values, and divide by no 0"
    with pytest.raises(ValueError, match=f"truediv .* holds a value that is not finite, first in channel 2{said}$"):
        prepare(net, torch.zeros(1, 2, 2, 2, 2), input_format=IMAGE)
    net.mean[1] = torch.nan
    with pytest.raises(ValueError, match=f"^sub .* holds a value that is not finite, first in channel 1{said}$"):
        prepare(net, torch.zeros(1, 2, 2, 2, 2), input_format=IMAGE)
