"""Networks in which some layers run in float: all of them is the model's own function, none the prepared model's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import qtt_hw
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT
from qtt_hw.lower.mixed import Flow, Part, at_bits, in_float, layers_of, run, settle, with_version
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.quant import QuantConfig, RoundedBatchNorm

FORMAT = Format(8, True, 7)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1, bias=False), nn.BatchNorm3d(4), nn.ReLU())
        self.tt = nn.Sequential(qtt_hw.TTConv3d(4, 4, 3, ranks=(2, 3, 3, 2), padding=1, bias=False), nn.BatchNorm3d(4))
        self.head = nn.Sequential(nn.SiLU(), nn.AvgPool3d(2), nn.Flatten(), nn.Linear(32, 3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.head(y + self.tt(y))


def values(count: int = 64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-128, 128, (count, 2, 4, 4, 4), generator=generator) * 2.0**-7


def made(net: nn.Module, **how: Any) -> PreparedModel:
    prepared = prepare(net, values(1), QuantConfig(**how), FORMAT)
    prepared.calibrate([values()])
    prepared.freeze_scales()
    prepared.freeze_statistics([values()])
    return prepared.eval()


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    net = Net()
    for _ in range(3):
        net(values())
    return net.eval()


def logits(parts: list[Part], x: Tensor) -> Tensor:
    return run(parts, {INPUT: Flow(x, FORMAT)})[parts[-1].stage.name].values.flatten(1)


@pytest.mark.parametrize(
    "how", [{}, {"weight_scales": "channel"}, {"codebook": "dqc"}, {"codebook": "inq"}, {"codebook": "kmeans"}]
)
def test_in_float_it_is_the_model_and_rounded_the_prepared_one(net: nn.Module, how: dict) -> None:
    prepared, x = made(net, **how), values(8, 1)
    floats = [Part(in_float(stage), False) for stage in prepared.stage_list]
    settle(floats, [], {}, [Flow(values(), FORMAT)], own=True)
    again = copy.deepcopy(net)
    for module in again.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
    again.train()(values())
    assert torch.allclose(logits(floats, x), again.eval()(x), atol=1e-4)
    # Batch norm is not folded, so that a value in a thousand is a step away.
    quantized = logits([Part(stage, True) for stage in prepared.stage_list], x)
    assert float((quantized - prepared(x)).abs().mean()) < 0.01 * float(prepared(x).abs().mean())


def test_layers_are_the_users_own(net: nn.Module) -> None:
    stages = made(net).stage_list
    found = {layer.name: [stages[index].name for index in layer.stages] for layer in layers_of(stages)}
    assert list(found) == ["conv.0", "tt.0", "add", "head.0", "head.3"]
    assert [name.rpartition(".")[0] for name in found["tt.0"]] == ["tt.0"] * len(found["tt.0"])
    assert len(found["tt.0"]) > 2 and found["add"] == ["add"]


def test_one_layer_is_replaced_from_where_it_begins(net: nn.Module) -> None:
    prepared, x = made(net), Flow(values(8, 1), FORMAT)
    stages = prepared.stage_list
    floats = [Part(in_float(stage), False) for stage in stages]
    base = {INPUT: x} | run(floats, {INPUT: x})
    layer = layers_of(stages)[1]
    version = [Part(at_bits(stages[i], prepared.config, 2), False) for i in layer.stages]
    settle(floats, [layer], {layer.name: [version]}, [Flow(values(), FORMAT)], own=False)
    parts = with_version(floats, layer, version)
    whole, rest = run(parts, {INPUT: x}), run(parts, base, layer.stages.start)
    assert set(rest) == {stage.name for stage in stages[layer.stages.start :]}
    assert all(torch.equal(rest[name].values, whole[name].values) for name in rest)
    last = stages[-1].name
    assert not torch.allclose(rest[last].values, base[last].values, rtol=0.01)
    # The version's batch norm has its own sums' statistics, the network's others are as they were.
    norms = [parts[layer.stages[-1]].stage.batch_norm, floats[layer.stages[-1]].stage.batch_norm]
    assert not torch.equal(norms[0].running_var, norms[1].running_var)
    assert torch.equal(norms[1].running_var, stages[layer.stages[-1]].batch_norm.running_var)


def test_a_pool_rounds_where_its_input_is_rounded(net: nn.Module) -> None:
    stages = made(net).stage_list
    table = next(index for index, stage in enumerate(stages) if stage.name == "head.0")
    x = {INPUT: Flow(values(8, 1), FORMAT)}
    for rounded in (False, True):
        parts = [Part(in_float(stage), rounded and index == table) for index, stage in enumerate(stages)]
        flows = run(parts, x)
        assert (flows["head.0"].rounded, flows["head.1"].rounded, flows["head.3"].rounded) == (rounded, rounded, False)
        step = flows["head.1"].values * 2.0 ** flows["head.1"].format.frac
        assert bool((step == step.round()).all()) == rounded


def test_merged_and_rounded_numbers_have_a_float_side() -> None:
    torch.manual_seed(0)
    layer = qtt_hw.QTTConv3d(2, 4, (1, 2), (2, 2), (3, 3), padding=1)
    net = nn.Sequential(layer, nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    net.train()(values())
    prepared = made(net.eval(), tt_form="merged", scales="fixed")
    floats = [Part(in_float(stage), False) for stage in prepared.stage_list]
    assert not any(isinstance(module, RoundedBatchNorm) for part in floats for module in part.stage.modules())
    settle(floats, [], {}, [Flow(values(), FORMAT)], own=True)
    net[1].momentum = 1.0
    net.train()(values())
    assert torch.allclose(logits(floats, values(8, 1)), net.eval()(values(8, 1)), atol=1e-4)
    merged = prepared.stage_list[0]
    wide, narrow = (at_bits(merged, prepared.config, bits) for bits in (8, 2))
    assert {q.bits for q in narrow.core_quantizers} == {2} and wide.weight_quantizer.bits == 8
    kernel = layer.kernel()
    errors = [float((stage.quantized_weight() - kernel).detach().norm()) for stage in (wide, narrow)]
    assert errors[0] < errors[1]
