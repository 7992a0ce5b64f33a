"""Exact arithmetic beside the golden model: within a rounding of every stage, and equal where nothing is rounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qtt_hw
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Concatenation, Contraction, Edge, Graph, Node, Permutation, Pool, Slice
from qtt_hw.graph.kinds import RECORDS
from qtt_hw.graph.unrounded import _KINDS, exact, stages
from qtt_hw.window import Window

MODELS = Path(__file__).parents[3] / "models"
FORMAT = Format(8, True, 3)


def rounds_to(node: Node, *streams: tuple[np.ndarray, Edge]) -> None:
    """The golden integers are the exact values, rounded half up and clamped."""
    fmt = node.output(*(edge for _, edge in streams)).format
    golden, found = node.golden(*streams), exact(node, *streams)
    assert found.shape == golden.shape
    assert fmt.signed or found.min() >= 0
    assert np.abs(golden - found.clip(fmt.minimum, fmt.maximum)).max() <= 0.5 + 1e-3


def test_every_kind_has_its_exact_arithmetic() -> None:
    assert {f"{kind.__name__}Record" for kind in _KINDS} == {record.__name__ for record in RECORDS}


@pytest.mark.parametrize("name", ["x3d-egogestar", "voxtt-modelnet10", "lenet-mnist", "resnet32-ttlc-cifar10"])
def test_stages_of_committed_models_are_rounded_exact_ones(name: str) -> None:
    graph = qtt_hw.load(MODELS / f"{name}.qtt")
    fmt = graph.input.edge.format
    x = np.random.default_rng(0).integers(fmt.minimum, fmt.maximum + 1, (1, *graph.input.edge.shape))
    found = {"input": x, **qtt_hw.run(graph, x, intermediates=True)}
    for node in graph.nodes:
        rounds_to(node, *((found[name], graph.edges[name]) for name in node.inputs))
    assert [node.name for node, _ in stages(graph, x)] == [node.name for node in graph.nodes]


def test_kinds_that_no_committed_model_has() -> None:
    x = np.random.default_rng(1).integers(-128, 128, (2, 3, 4, 5, 6))
    edge, coarse = Edge((3, 4, 5, 6), FORMAT), Edge((3, 4, 5, 6), Format(8, True, 1))
    rounds_to(
        Concatenation.aligned("c", ("a", "b"), "c", (FORMAT, coarse.format), Format(8, True, 0)), (x, edge), (x, coarse)
    )
    rounds_to(Permutation("p", ("a",), "p", (5, 3, 1, 0, 2, 4)), (x, edge))
    rounds_to(Slice("s", ("a",), "s", 2, 3), (x, edge))
    ragged = Window((2, 3, 2), (1, 2, 1), ((1, 0), (1, 1), (0, 1)))
    for kind, counts in (("max", False), ("average", False), ("average", True)):
        rounds_to(Pool("p", ("a",), "p", kind, ragged, counts), (x, edge))  # type: ignore[arg-type]
    for lead, trail, groups, channels in ((2, 3, 1, 1), (1, 1, 3, 2), (1, 1, 6, 1)):
        weight = as_integers(np.random.default_rng(2).integers(-7, 8, (2 * groups, 2, 3, 2, channels)))
        requant = Requantizer(FORMAT, 5)
        node = Contraction("c", ("a",), "c", ragged, weight, Format(4, True, 3, True), requant, lead, trail, groups)
        rounds_to(node, (x, edge))


def test_where_nothing_is_rounded_or_clamped_both_are_equal() -> None:
    node = Contraction(
        "c",
        ("input",),
        "c",
        Window((1, 1, 1)),
        as_integers(np.array([[1, -1], [2, 3]]).reshape(2, 1, 1, 1, 2)),
        Format(4, True, 0, True),
        Requantizer(Format(16, True, 3), 0),
    )
    second = Contraction(
        "d", ("c",), "d", node.window, node.weight, node.weight_format, Requantizer(Format(3, True, 1), 2)
    )
    spec = qtt_hw.input_spec((1, 2, 2, 2), format=FORMAT)
    graph = Graph("g", spec, (node, second))
    x = np.arange(-4, 4).reshape(1, 1, 2, 2, 2)
    golden, found = qtt_hw.run(graph, x, intermediates=True), dict(stages_by_name(graph, x))
    assert np.array_equal(found["c"], golden["c"])
    # The second is neither rounded nor clamped here: its values are quarters, beyond -4 to 3.
    assert np.array_equal(found["d"], golden["c"] @ node.weight.reshape(2, 2).T / 4)
    assert found["d"].min() < -4 and golden["d"].min() == -4


def stages_by_name(graph: Graph, x: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [(node.name, values) for node, values in stages(graph, x)]
