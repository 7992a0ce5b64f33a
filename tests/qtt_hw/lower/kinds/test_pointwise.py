"""Functions of one value: each becomes one table, whatever it is written as, and nothing else does."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Table
from qtt_hw.lower.check import check
from qtt_hw.lower.kinds.pointwise import POINTWISE
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)


class Net(nn.Module):
    def __init__(self, middle: object) -> None:
        super().__init__()
        self.conv, self.other, self.middle = nn.Conv3d(2, 4, 3, padding=1), nn.Conv3d(2, 4, 1), middle
        self.head = nn.Linear(4 * 12, 3)
        self.register_buffer("factor", torch.tensor(0.5))
        self.register_buffer("cube", torch.full((1, 1, 1), 0.5))
        self.one = nn.Parameter(torch.full((1, 1, 1, 1, 1), 1.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self, x), 1))


def prepared(middle: object, bits: int = 8) -> PreparedModel:
    torch.manual_seed(0)
    net = middle if isinstance(middle, nn.Module) else Net(middle)
    return prepare(net, torch.zeros(1, 2, 3, 2, 2), QuantConfig(activation_bits=bits), IMAGE)


#: Each with the number of tables that it becomes.
WRITTEN = {
    "swish": (lambda net, x: (y := net.conv(x)) * torch.sigmoid(y), 1),
    "hard swish": (lambda net, x: (y := net.conv(x)) * F.relu6(y + 3) / 6, 1),
    "mish": (lambda net, x: (y := net.conv(x)).mul(F.softplus(y).tanh()), 1),
    "constants": (lambda net, x: 1 - net.conv(2 * x - 0.25) / 4, 2),
    "a number of the model's own": (lambda net, x: net.conv(x) * net.factor, 1),
    "a number with axes": (lambda net, x: net.conv(x) * net.cube + net.cube, 1),
    "a parameter with axes": (lambda net, x: torch.sigmoid(net.conv(x)) ** net.one, 1),
    "nothing, with axes": (lambda net, x: net.conv(x) * torch.ones(1, 1, 1), 0),
    "such a number with axes": (lambda net, x: net.conv(x) * net.factor.view(1, 1, 1, 1, 1) + net.factor.view(1, 1), 1),
    "twice": (lambda net, x: (y := net.conv(x)) + y, 1),
    "square": (lambda net, x: (y := net.conv(x)) * y, 1),
    "power": (lambda net, x: net.conv(x) ** 2, 1),
    "between two": (lambda net, x: net.conv(x).clamp(-0.25, max=0.5), 1),
    "in place": (lambda net, x: F.silu(net.conv(x), True), 1),
    "in place, by name": (lambda net, x: F.hardtanh(net.conv(x), inplace=True).mul_(2).abs_(), 1),
    "behind a relu": (lambda net, x: torch.sqrt(F.relu(net.conv(x))), 1),
    "nothing, behind a relu": (lambda net, x: F.leaky_relu(F.relu(net.conv(x)), 0.1), 0),
    "nothing": (lambda net, x: net.conv(x) * 1 + 0, 0),
    "read twice": (lambda net, x: (y := F.gelu(net.conv(x))) + F.max_pool3d(y, 3, 1, 1), 1),
    "of two": (lambda net, x: F.silu(net.conv(x)) + torch.tanh(net.other(x)), 2),
    "differences": (lambda net, x: net.conv(x) - net.other(x), 1),
    "differences in place": (lambda net, x: net.conv(x).sub_(net.other(x), alpha=2), 1),
    "reversed": (lambda net, x: torch.sub(other=net.other(x), input=net.conv(x)), 1),
    "after a function": (lambda net, x: torch.sub(net.conv(x), torch.tanh(net.other(x))), 1),
    "pooled between": (lambda net, x: F.silu(F.max_pool3d(F.silu(net.conv(x)), 3, 1, 1)), 2),
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("bits", [3, 8])
def test_what_is_of_one_value_is_one_table(inputs, assert_equal, name: str, bits: int) -> None:
    middle, tables = WRITTEN[name]
    x, values = inputs(IMAGE, (5, 3, 2, 2, 2), 1)
    model = prepared(middle, bits)
    model.calibrate([values])
    graph = assert_equal(model, x, values)
    assert len([node for node in graph.nodes if isinstance(node, Table)]) == tables


#: Of one channel, each with the number of stages before the head.
OF_ONE_CHANNEL = {
    "normalised": (lambda net, x: (x.clamp(-0.5, 0.5) - net.offset) / net.scale, 1),
    "a product": (lambda net, x: (x * F.hardtanh(x)) * net.scale + net.offset, 1),
    "a summand": (lambda net, x: net.offset - torch.tanh(x), 1),
    "beside what it is of": (lambda net, x: torch.atan(y := x + x) + y + (y * net.scale + net.offset), 1),
    "a gate": (lambda net, x: x + torch.sigmoid(net.conv(x)) * net.scale, 3),
    "behind a scaling": (lambda net, x: torch.tanh(x * net.scale) + net.offset, 2),
}


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("name", OF_ONE_CHANNEL)
def test_a_number_with_axes_behind_a_function_of_one_channel_is_part_of_it(inputs, assert_equal, name, trained) -> None:
    middle, stages = OF_ONE_CHANNEL[name]

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(1, 1, 3, padding=1), nn.Conv3d(1, 3, (5, 2, 2), padding=(1, 0, 0))
            self.scale, self.offset = (nn.Parameter(torch.full((1, 1, 1, 1), v), trained) for v in (-1.5, 0.25))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(middle(self, x)).flatten(1)

    x, values = inputs(IMAGE, (5, 3, 2, 2, 1), 1)
    torch.manual_seed(0)
    model = prepare(One(), torch.zeros(1, 1, 3, 2, 2), QuantConfig(), IMAGE)
    model.calibrate([values])
    assert_equal(model, x, values)
    assert len(model.stage_list) == stages + 1


def test_a_number_with_more_axes_than_what_it_scales_is_refused() -> None:
    class Grown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(1, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x * torch.full((1, 1, 1), 0.5))

    with pytest.raises(ValueError, match=r"\(mul\) makes \[1, 1, 1\] of \[1, 1\], which is not followed"):
        prepare(Grown(), torch.zeros(1, 1), QuantConfig(), IMAGE)


@pytest.mark.parametrize("layer", [kind for kind in POINTWISE.layers if kind is not nn.PReLU])
def test_every_layer_is_what_the_model_computes(layer: type[nn.Module]) -> None:
    made = layer(0.1, 0.0) if layer is nn.Threshold else layer()
    net = nn.Sequential(nn.Conv3d(2, 4, 1), made, nn.Flatten(), nn.Linear(48, 3))
    assert all(row.supported for row in check(net, torch.zeros(1, 2, 3, 2, 2), IMAGE))
    assert [stage.name for stage in prepared(net).stages] == ["0", "1", "3"]


def test_a_function_that_is_called_twice_on_one_result_is_looked_up_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.act = nn.Conv3d(2, 2, 1), nn.Conv3d(2, 2, 3, padding=1), nn.SiLU()
            self.head = nn.Linear(24, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.act(x)
            return self.head((self.one(y) + self.two(y)).flatten(1))

    assert [stage.name for stage in prepared(Twice()).stages] == ["act", "one", "two", "add", "head"]


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (lambda net, x: torch.sqrt(net.conv(x)), "sqrt: has no finite value at "),
        (lambda net, x: net.conv(x) * net.head.weight[0, 0], "getitem .* is computed of the parameter head.weight"),
        (lambda net, x: net.conv(x) * torch.ones(4, 3, 1, 1), r"takes a tensor of shape \[4, 3, 1, 1\]"),
        (lambda net, x: nn.PReLU(4)(net.conv(x)), "PReLU"),
        (lambda net, x: torch.maximum(net.conv(x), net.other(x)), "of several results, which is not supported"),
    ],
)
def test_what_is_not_is_refused_by_name(middle: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        prepared(middle)


@pytest.mark.parametrize("layer", [nn.PReLU(), nn.SiLU()])
@pytest.mark.parametrize("flat", [False, True])
def test_a_layer_behind_factors_by_channel_is_of_what_they_make(inputs, assert_equal, layer: nn.Module, flat: bool):
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.tensor([0.5, -2.0]).view(2, 1, 1, 1))
            self.act = layer
            self.head = nn.Linear(24, 3) if flat else nn.Conv3d(2, 3, (3, 2, 2))

        def forward(self, x: Tensor) -> Tensor:
            y = self.act(F.relu(x) * self.scale)
            return self.head(y.flatten(1)) if flat else self.head(y).flatten(1)

    x, values = inputs(IMAGE, (5, 3, 2, 2, 2), 1)
    model = prepared(Scaled())
    model.calibrate([values])
    assert_equal(model, x, values)


def test_a_slope_a_channel_is_refused() -> None:
    net = nn.Sequential(nn.Conv3d(2, 4, 1), nn.PReLU(4), nn.Flatten(), nn.Linear(48, 3))
    with pytest.raises(ValueError, match=r"^1 \(PReLU\) has 4 slopes, one a channel, which is not supported; torch"):
        prepared(net)
