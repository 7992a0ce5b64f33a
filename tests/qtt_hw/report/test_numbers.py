"""The section on numbers: its figures hold the stages' counts, and its text what is worst."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qtt_hw
from qtt_hw.data import Samples
from qtt_hw.report.numbers import _said, number_sections
from qtt_hw.report.section import Grid
from tests.figures import charts, check

MODELS = Path(__file__).parents[3] / "models"


def noise(graph: qtt_hw.Graph, samples: int) -> Samples:
    most = 2 if graph.input.edge.format.bits == 1 else 256
    x = np.random.default_rng(0).integers(0, most, (samples, *graph.input.sample_shape), dtype=np.uint8)
    return Samples(x, np.zeros(samples, np.int64))


@pytest.mark.parametrize("name", ["lenet-mnist", "voxtt-modelnet10", "x3d-egogestar"])
def test_figures_of_committed_models(name: str) -> None:
    """Powers of two, a chain of trains, and gates with tables."""
    graph = qtt_hw.load(MODELS / f"{name}.qtt")
    sections = number_sections(graph, noise(graph, 3), 2)
    check(sections)
    found = charts(sections)
    assert "losses" not in found and found["noise"].title == "Signal to rounding noise"
    stages = [node.name for node in graph.nodes if not node.relabels]
    assert len(found["formats"].figure["data"][0]["z"]) == len(stages)
    menu = found["histograms"].figure["layout"]["updatemenus"][0]["buttons"]
    assert [button["label"] for button in menu] == stages
    data = found["histograms"].figure["data"]
    for index, button in enumerate(menu):
        shown = [k for k, visible in enumerate(button["args"][0]["visible"]) if visible]
        assert shown == [3 * index, 3 * index + 1, 3 * index + 2]
        outputs, _, weights = (data[k] for k in shown)
        assert sum(outputs["y"]) == pytest.approx(100, rel=0.02)
        assert not weights["y"] or sum(weights["y"]) == pytest.approx(100, rel=0.02)
    assert "2 samples, always the same ones." in sections[0].text


def test_codebooks_are_shown_by_their_codes() -> None:
    graph = qtt_hw.load(MODELS / "lenet-mnist.qtt")
    layout = charts(number_sections(graph, noise(graph, 1)))["histograms"].figure["layout"]
    names = layout["xaxis2"]["ticktext"]
    assert names[0] == "-2<sup>7</sup>" and names[-1] == "2<sup>7</sup>" and len(names) == 16


def test_a_runs_noise_is_against_its_floats_and_losses_are_the_inspections() -> None:
    from qtt_hw.lower.freeze import freeze
    from qtt_hw.training import load_run

    prepared, config, spec, labels = load_run(Path(__file__).parents[2] / "fixtures" / "present" / "run")
    graph = freeze(prepared, spec, labels, config.name)
    rows = [("features.0", 0.025, None), ("<i>head</i>", None, -0.01)]
    sections = number_sections(graph, noise(graph, 4), prepared=prepared, inspection=rows)
    check(sections)
    found = charts(sections)
    assert found["noise"].title == "Signal-to-noise against float"
    lost, gained = found["losses"].figure["data"]
    assert (lost["y"], lost["x"], gained["y"], gained["x"]) == ([0], [2.5], [1], [-1.0])
    assert found["losses"].figure["layout"]["yaxis"]["ticktext"] == ["features.0", "&lt;i&gt;head&lt;/i&gt;"]
    (table,) = (part for part in sections[0].parts if isinstance(part, Grid))
    assert [row[0] for row in table.rows] == [node.name for node in graph.nodes if not node.relabels]


def test_shares_are_said_without_exponents() -> None:
    assert [_said(share) for share in (1.0, 0.996, 0.32, 0.0949, 0.00026)] == ["100", "100", "32", "9.5", "0.026"]
