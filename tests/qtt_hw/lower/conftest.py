"""The promise as one assertion: the prepared model's integers are the golden model's, stage by stage."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Graph, golden
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.quant import QuantConfig


def _inputs(fmt: Format, shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, torch.Tensor]:
    """Integers [N, D, H, W, C] of the format, and the same as values [N, C, D, H, W]."""
    x = np.random.default_rng(seed).integers(fmt.minimum, fmt.maximum + 1, shape)
    return x, torch.from_numpy(x).permute(0, 4, 1, 2, 3).to(torch.float32) * 2.0**-fmt.frac


def _assert_equal(prepared: PreparedModel, x: np.ndarray, values: torch.Tensor) -> Graph:
    """Golden and prepared model agree on every integer of every stage."""
    d, h, w, c = prepared.input.shape
    graph = freeze(prepared, input_spec((d, h, w, c), 1, 0, prepared.input.format))
    expected = golden.run(graph, x, intermediates=True)
    prepared.eval()
    found = prepared.forward_all(values)
    assert list(found) == list(expected) == [stage.name for stage in prepared.stages]
    for name, integers in expected.items():
        assert found[name].dtype == torch.int64
        assert torch.equal(found[name].permute(0, 2, 3, 4, 1), torch.from_numpy(integers)), name
    logits = torch.from_numpy(expected[graph.nodes[-1].name]).flatten(1).to(torch.float32)
    assert torch.equal(prepared(values) * 2.0**graph.output.format.frac, logits)
    return graph


def _equal_in_every_phase(net: nn.Module, fmt: Format, activation_bits: int) -> Graph:
    """The graph of a network over [N, 2, 2, 2, 4], equal when calibrated, frozen, and in training behind that."""
    x, values = _inputs(fmt, (4, 2, 2, 4, 2), 1)
    net(values)
    model = prepare(net, values[:1], QuantConfig(activation_bits=activation_bits), fmt)
    model.calibrate([values])
    graph = _assert_equal(model, x, values)
    model.freeze_scales()
    model.freeze_statistics([values])
    _assert_equal(model, x, values)
    assert torch.equal(model.train()(values), model.eval()(values))
    return graph


@pytest.fixture(scope="session")
def inputs() -> Callable[[Format, tuple[int, ...], int], tuple[np.ndarray, torch.Tensor]]:
    return _inputs


@pytest.fixture(scope="session")
def assert_equal() -> Callable[[PreparedModel, np.ndarray, torch.Tensor], Graph]:
    return _assert_equal


@pytest.fixture(scope="session")
def equal_in_every_phase() -> Callable[[nn.Module, Format, int], Graph]:
    return _equal_in_every_phase
