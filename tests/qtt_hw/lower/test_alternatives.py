"""The stages of every path of a layer: as many multiplications as the path says, and the same shapes at both ends."""

import pytest
import torch
from torch import nn

from qtt_hw.codebook import Codebook
from qtt_hw.graph import Contraction, Graph
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.alternatives import path_alternatives
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn import QTTConv3d, TTLinear
from qtt_hw.quant import QuantConfig
from qtt_hw.tt.chain import ContractionPath, contraction_steps, cost
from rtl_gen.families import device
from rtl_gen.plan.search import along, plan

CONFIG = QuantConfig(weight_bits=4, intermediate_bits=6)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        QTTConv3d(4, 6, (2, 2), (3, 2), (3, 2), padding=(1, 2, 1), dilation=(1, 2, 1)),
        nn.BatchNorm3d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        TTLinear((2, 3), (2, 2), 2, bias=True),
    )


@pytest.fixture(scope="module")
def graph(model: nn.Module) -> Graph:
    x = torch.randint(0, 2, (2, 4, 3, 4, 5)).float()
    prepared = prepare(model, x, CONFIG)
    prepared.calibrate([x])
    return freeze(prepared, input_spec((3, 4, 5, 4)))


def test_every_path_of_every_layer(model: nn.Module, graph: Graph) -> None:
    found = path_alternatives(model, graph, CONFIG)
    assert {name: len(paths) for name, paths in found.items()} == {"0": 7, "5": 3}
    for text, nodes in found["0"].items():
        changed = along(graph, found, {"0": text})
        assert changed.output == graph.output
        assert [node.source for node in changed.nodes].count("0") == len(nodes)
        steps = contraction_steps((1, 2, 2), (1, 3, 2), (3, 2), ContractionPath.parse(text, 3))
        assert [node.name for node in nodes] == [f"0.{step.name}" for step in steps]
        # Padded taps are not multiplied, so only the pointwise ones count alike at every position.
        expected = [60 * step.multiplications for step in steps if step.first > 0]
        first = [node for node in changed.nodes if node.source == "0"]
        assert [
            node.macs(changed.input_of(node)) for node, step in zip(first, steps, strict=True) if step.first > 0
        ] == expected
        assert [node.window for node in nodes if node.window.taps > 1] == [model[0].window]
        assert [node.requant.out.bits for node in nodes] == [6] * (len(nodes) - 1) + [8]
        assert nodes[-1].requant.multiplier is not None and len(nodes[-1].requant.multiplier) == 6
    for text, nodes in found["5"].items():
        assert sum(n.weight.size * n.carried for n in nodes) == cost(
            contraction_steps((2, 3), (2, 2), (2,), ContractionPath.parse(text, 2))
        )


def test_the_layers_own_path_is_left_alone(model: nn.Module, graph: Graph) -> None:
    before = [str(layer.path) for layer in model if isinstance(layer, QTTConv3d | TTLinear)]
    path_alternatives(model, graph, CONFIG)
    assert [str(layer.path) for layer in model if isinstance(layer, QTTConv3d | TTLinear)] == before


def test_the_graphs_own_path_is_among_them_with_the_same_formats(model: nn.Module, graph: Graph) -> None:
    found = path_alternatives(model, graph, CONFIG)
    own = [node for node in graph.nodes if node.source == "0"]
    other = found["0"]["0 1 2"]
    for mine, theirs in zip(own, other, strict=True):
        assert isinstance(mine, Contraction)
        assert (mine.name, mine.weight.shape, mine.lead, mine.trail, mine.window) == (
            theirs.name,
            theirs.weight.shape,
            theirs.lead,
            theirs.trail,
            theirs.window,
        )
        assert mine.requant.out.bits == theirs.requant.out.bits


def test_a_merged_convolution_has_no_path_but_a_linear_layer_does(model: nn.Module, graph: Graph) -> None:
    assert set(path_alternatives(model, graph, QuantConfig(tt_form="merged"))) == {"5"}


def test_what_brings_a_map_into_order_stays_before_the_layer() -> None:
    layers = nn.Sequential(nn.Conv3d(1, 4, 3), nn.Flatten(), TTLinear((4, 8), (4, 2), 3), nn.Linear(8, 2))
    x = torch.randint(0, 2, (2, 1, 4, 4, 4)).float()
    prepared = prepare(layers, x, CONFIG)
    prepared.calibrate([x])
    made = freeze(prepared, input_spec((4, 4, 4, 1)))
    found = path_alternatives(layers, made, CONFIG)
    for text in found["2"]:
        changed = along(made, found, {"2": text})
        assert changed.output == made.output
        assert [node.name for node in changed.nodes][1:3] == ["2.flatten", "2.order"]
    assert plan(made, device("ecp5-25f"), alternatives=found).chosen_paths.keys() == {"2"}


def test_orders_of_modes_are_paths_of_their_own(model: nn.Module, graph: Graph) -> None:
    given = path_alternatives(model, graph, CONFIG)
    free = path_alternatives(model, graph, CONFIG, any_order=True)
    turned = [text for text in free["0"] if " of " in text]
    assert turned and len(free["0"]) > 3
    for text, nodes in free["0"].items():
        changed = along(graph, free, {"0": text})
        assert changed.output == graph.output and changed.macs() > 0
        if text in given["0"]:
            assert [n.weight.shape for n in nodes] == [n.weight.shape for n in given["0"][text]]
    chosen = plan(graph, device("none"), alternatives=free)
    assert {path.layer for path in chosen.paths if path.chosen} == {"0", "5"}


def test_paths_of_codebooks_have_codebooks_of_their_own(model: nn.Module) -> None:
    """Every core, and every merged core, has its own greatest exponent; all of them are planned with shifts."""
    config = QuantConfig(codebook="dqc", weight_bits=3, zero=True)
    x = torch.randint(0, 2, (2, 4, 3, 4, 5)).float()
    prepared = prepare(model, x, config)
    prepared.calibrate([x])
    coded = freeze(prepared, input_spec((3, 4, 5, 4)))
    found = path_alternatives(model, coded, config)
    books = [node.weight_format for paths in found.values() for nodes in paths.values() for node in nodes]
    assert all(isinstance(book, Codebook) and (book.bits, book.zero) == (3, True) for book in books)
    assert len({book.top for book in books}) > 1
    planned = plan(coded, device("ecp5-25f"), alternatives=found)
    graph = along(coded, found, planned.chosen_paths)
    weighted = {node.name for node in graph.nodes if isinstance(node, Contraction)}
    assert {s.folding.multiplier for s in planned.stages if s.stage in weighted} == {"shift"}
    assert planned.multipliers == 0
