"""Bits by layer: which stages get them, that the golden model computes the same, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import qtt_hw
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, Graph
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.quant import QuantConfig

FORMAT = Format(8, True, 7)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU())
        self.train_ = qtt_hw.TTConv3d(4, 4, 3, ranks=(2, 3, 3, 2), padding=1)
        self.pool, self.flat, self.last = nn.MaxPool3d(2), nn.Flatten(), nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return self.last(self.flat(self.pool(y + self.train_(y))))


def prepared_with(**how: Any) -> PreparedModel:
    torch.manual_seed(0)
    return prepare(Net(), torch.zeros(1, 2, 4, 4, 4), QuantConfig(**how), FORMAT)


def test_every_stage_has_its_layers_bits_and_the_golden_model_is_equal(
    inputs: Callable[..., tuple[np.ndarray, Tensor]], assert_equal: Callable[..., Graph]
) -> None:
    layers = {
        "first.0": {"weight_bits": 8, "activation_bits": 5},
        "train_": {"weight_bits": 3, "intermediate_bits": 6},
        "add": {"activation_bits": 7},
    }
    model = prepared_with(weight_bits=4, last_weight_bits=6, layers=layers)
    x, values = inputs(FORMAT, (16, 4, 4, 4, 2), 1)
    model.calibrate([values] * 4)
    graph = assert_equal(model, x, values)
    weights = {node.name: node.weight_bits for node in graph.nodes if isinstance(node, Contraction)}
    cores = [name for name in weights if name.startswith("train_")]
    assert len(cores) > 2 and weights == {"first.0": 8, **dict.fromkeys(cores, 3), "last": 6}
    outputs = {name: edge.format.bits for name, edge in graph.edges.items()}
    assert [outputs[name] for name in ("first.0", *cores, "add", "last")] == [5, *[6] * (len(cores) - 1), 8, 7, 16]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            {"firts.0": {"weight_bits": 3}},
            "the network has no layer 'firts.0' that is quantised; did you mean 'first.0'?",
        ),
        ({"nothing": {}}, "the network has no layer 'nothing' that is quantised"),
        ({"add": {"weight_bits": 3}}, "add: weight_bits: the layer has no weights"),
        ({"pool": {"activation_bits": 3}}, "pool: activation_bits: the layer has no scale of its own"),
        ({"first.0": {"intermediate_bits": 3}}, "first.0: intermediate_bits: the layer is no tensor train"),
        (
            {"last": {"activation_bits": 8}},
            "last: activation_bits: the layer puts out the logits, whose bits are logit_bits",
        ),
    ],
)
def test_what_a_layer_does_not_have_is_refused(layers: dict, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        prepared_with(layers=layers)
    assert str(caught.value).startswith(f"quantisation: layers: {message}")
