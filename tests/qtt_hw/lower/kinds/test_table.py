"""Activations that are looked up: prepared model and golden model are equal, and follow the float one."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Table
from qtt_hw.lower.check import check
from qtt_hw.lower.kinds.table import TableStage
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)
ACTIVATIONS = [nn.LeakyReLU(0.1), nn.LeakyReLU(-0.5), nn.ReLU6(), nn.Sigmoid(), nn.PReLU(), nn.Hardtanh(-0.5, 1)]


def network(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), *layers, nn.Flatten(), nn.Linear(4 * 12, 3))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("bits", [2, 5, 8])
def test_prepared_and_golden_are_equal_in_every_phase(inputs, assert_equal, activation: nn.Module, bits: int) -> None:
    net = network(nn.BatchNorm3d(4), activation)
    x, values = inputs(IMAGE, (6, 2, 3, 2, 2), 0)
    model = prepare(net, values[:1], QuantConfig(activation_bits=bits), IMAGE)
    model.calibrate([values])
    graph = assert_equal(model, x, values)
    (node,) = [node for node in graph.nodes if isinstance(node, Table)]
    assert len(node.entries) == 1 << bits
    signed = not isinstance(activation, nn.ReLU6 | nn.Sigmoid)
    assert node.out.signed == (signed and getattr(activation, "negative_slope", 1) > 0)
    model.freeze_scales()
    model.freeze_statistics([values])
    assert_equal(model, x, values)
    assert torch.equal(model.train()(values), model.eval()(values))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_at_8_bits_it_follows_the_function_and_learns(activation: nn.Module) -> None:
    net = network(activation).eval()
    values = (torch.randint(-128, 128, (64, 2, 3, 2, 2)) / 128.0).float()
    model = prepare(net, values[:1], QuantConfig(weight_bits=8), IMAGE)
    model.calibrate([values])
    with torch.no_grad():
        wanted = net(values)
        assert float((model.eval()(values) - wanted).abs().max()) < 0.05 * float(wanted.abs().max())
    model.train()(values).square().sum().backward()
    stage = next(stage for stage in model.stages if isinstance(stage, TableStage))
    assert stage.output_quantizer.log2_scale.grad is not None
    learnt = ("weight", "slope")
    assert all(float(p.grad.abs().sum()) > 0 for n, p in model.named_parameters() if n.endswith(learnt))
    assert isinstance(activation, nn.PReLU) == any(n.endswith("slope") for n, p in model.named_parameters())


class Calls(nn.Module):
    """The same functions, called."""

    def __init__(self, call: object) -> None:
        super().__init__()
        self.conv, self.call, self.head = nn.Conv3d(2, 4, 3, padding=1), call, nn.Linear(4 * 12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.call(self.conv(x)), 1))


CALLS = [
    F.relu6,
    torch.sigmoid,
    F.sigmoid,
    lambda x: x.sigmoid(),
    lambda x: F.leaky_relu(x, 0.2),
    lambda x: F.leaky_relu(x, negative_slope=0.3, inplace=True),
]


@pytest.mark.parametrize("call", CALLS)
def test_functions_stand_for_the_layers(call: object) -> None:
    model = prepare(Calls(call), torch.zeros(1, 2, 3, 2, 2), input_format=IMAGE)
    assert [type(stage).__name__ for stage in model.stages] == ["ContractionStage", "TableStage", "ContractionStage"]


def prepared(*layers: nn.Module) -> PreparedModel:
    return prepare(network(*layers), torch.zeros(1, 2, 3, 2, 2), input_format=IMAGE)


def test_a_relu_joins_a_table_and_a_batch_norm_does_not() -> None:
    model = prepared(nn.LeakyReLU(0.5), nn.MaxPool3d(1), nn.ReLU())
    table = model.stages[1]
    assert isinstance(table, TableStage) and not table.output_quantizer.signed
    normalised = prepared(nn.Sigmoid(), nn.BatchNorm3d(4)).stages
    assert [type(stage).__name__ for stage in normalised[1:3]] == ["TableStage", "ContractionStage"]


def test_logits_are_not_looked_up() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(24, 3), nn.Sigmoid())
    rows = check(net, torch.zeros(1, 2, 3, 2, 2), IMAGE)
    assert [row.instead for row in rows if not row.supported] == [
        "ends with a Sigmoid, which is not supported; leave it out: the hardware puts out logits and their argmax"
    ]
