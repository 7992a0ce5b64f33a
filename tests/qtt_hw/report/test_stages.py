"""Facts of stages: counts as the golden model's, what was clamped, and noise against both references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qtt_hw
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Contraction, Graph
from qtt_hw.report import stages
from qtt_hw.report.stages import as_floats, collect
from qtt_hw.window import Window

MODELS = Path(__file__).parents[3] / "models"
KEPT = Path(__file__).parents[2] / "fixtures" / "present" / "run"


def scaled(name: str, factor: int, shift: int, out: Format, source: str = "input") -> Contraction:
    """y = x * factor / 2**shift, of one channel."""
    weight = as_integers(np.full((1, 1, 1, 1, 1), factor))
    return Contraction(
        name, (source,), name, Window((1, 1, 1)), weight, Format(4, True, 0, True), Requantizer(out, shift)
    )


def inputs(graph: Graph, samples: int) -> np.ndarray:
    fmt = graph.input.edge.format
    return np.random.default_rng(0).integers(fmt.minimum, fmt.maximum + 1, (samples, *graph.input.edge.shape))


def test_what_is_clamped_at_each_end_is_counted() -> None:
    spec = qtt_hw.input_spec((1, 1, 8, 1), format=Format(4, True, 0))
    signed, rectified = Format(3, True, 0), Format(2, False, 0)
    graph = Graph("g", spec, (scaled("c", 2, 0, signed), scaled("d", -1, 0, rectified, "c")))
    x = np.arange(-4, 4).reshape(1, 1, 1, 8, 1)
    c, d = collect(graph, x)
    # -8 to 6 in steps of 2, of which -8 and -6 are below -4, and 4 and 6 above 3.
    assert (c.below, c.above, c.clipped) == (2, 2, (0.25, 0.25))
    assert c.counts.tolist() == [3, 0, 1, 0, 1, 0, 1, 2] and c.codes.tolist() == list(range(-4, 4))
    assert (c.values, c.zeros, c.codes_used) == (8, 1 / 8, 5 / 8)
    # 4 4 4 2 0 -2 -3 -3 at 2 unsigned bits: three above, three below 0, which is the ReLU's doing.
    assert d.rectified and (d.below, d.above, d.clipped) == (3, 3, (0.0, 3 / 8))
    assert c.noise == 4**2 + 2**2 + 1**2 + 3**2 and c.signal == sum(v**2 for v in range(-8, 7, 2))


def test_values_at_the_ends_are_not_clamped() -> None:
    spec = qtt_hw.input_spec((1, 1, 8, 1), format=Format(4, True, 0))
    (found,) = collect(
        Graph("g", spec, (scaled("c", 1, 0, Format(3, True, 0)),)), np.arange(-4, 4).reshape(1, 1, 1, 8, 1)
    )
    assert found.counts.tolist() == [1] * 8 and found.clipped == (0.0, 0.0) and found.signal_to_noise is None


def test_what_cannot_be_told_is_left_open() -> None:
    graph = qtt_hw.load(MODELS / "lenet-mnist.qtt")
    found = {each.node.name: each for each in collect(graph, inputs(graph, 1))}
    assert found["pool1"].clipped is None  # has no scale of its own
    assert found["linear2"].clipped is None  # 16 bits
    assert found["conv1"].clipped is not None and found["conv1"].rectified


@pytest.mark.parametrize("name", ["lenet-mnist", "voxtt-modelnet10"])
def test_counts_are_the_golden_models(name: str) -> None:
    graph = qtt_hw.load(MODELS / f"{name}.qtt")
    x = inputs(graph, 3)
    golden = qtt_hw.run(graph, x, intermediates=True)
    told: list[tuple[object, ...]] = []
    for found in collect(graph, x, progress=lambda *report: told.append(report)):
        integers, counts = np.unique(golden[found.node.name], return_counts=True)
        assert np.array_equal(found.codes[found.counts > 0], integers)
        assert np.array_equal(found.counts[found.counts > 0], counts)
    assert told == [("stages", 3, 3)]


def test_samples_are_counted_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = qtt_hw.load(MODELS / "lenet-mnist.qtt")
    x = inputs(graph, 5)
    whole = collect(graph, x)
    monkeypatch.setattr(stages, "CHUNK", 2)
    for one, other in zip(whole, collect(graph, x), strict=True):
        assert np.array_equal(one.counts, other.counts) and one.noise == pytest.approx(other.noise, rel=1e-4)


def test_the_float_stages_of_a_run_are_near_exact_arithmetic() -> None:
    from qtt_hw.lower.freeze import freeze
    from qtt_hw.training import load_run

    prepared, config, spec, labels = load_run(KEPT)
    graph = freeze(prepared, spec, labels, config.name)
    x = inputs(graph, 4)
    exact, floats = collect(graph, x), collect(graph, x, as_floats(prepared, graph))
    assert any(each.signal_to_noise for each in exact)
    for one, other in zip(exact, floats, strict=True):
        assert np.array_equal(one.counts, other.counts)
        # They differ in the folding of batch norm alone, far below the rounding of activations.
        assert other.signal == pytest.approx(one.signal, rel=1e-2)
        assert (one.signal_to_noise or 0) == pytest.approx(other.signal_to_noise or 0, abs=1)


def test_a_reference_of_another_network_is_refused() -> None:
    graph = qtt_hw.load(MODELS / "lenet-mnist.qtt")
    with pytest.raises(ValueError, match="stage conv1: is compared with other"):
        collect(graph, inputs(graph, 1), lambda x: [("other", x)])
