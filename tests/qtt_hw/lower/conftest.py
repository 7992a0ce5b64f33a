"""The promise as one assertion: the prepared model's integers are the golden model's, stage by stage."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Graph, golden
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepared import PreparedModel


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


@pytest.fixture(scope="session")
def inputs() -> Callable[[Format, tuple[int, ...], int], tuple[np.ndarray, torch.Tensor]]:
    return _inputs


@pytest.fixture(scope="session")
def assert_equal() -> Callable[[PreparedModel, np.ndarray, torch.Tensor], Graph]:
    return _assert_equal
