"""docs/format.md is enough: a golden model that was written from it computes what ours does, in every stage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qtt_hw
from qtt_hw.fixedpoint import Requantizer
from qtt_hw.graph import Add, Edge, Graph, InputSpec, Pool, Slice
from qtt_hw.graph.kinds import RECORDS
from qtt_hw.window import Window
from tests.end_to_end.golden_by_the_page import Model
from tests.replay.networks import NETWORKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "format.md"
SCRIPT = Path(__file__).with_name("golden_by_the_page.py")
MODELS = [*sorted((ROOT / "models").glob("*.qtt")), *sorted((ROOT / "tests" / "fixtures").glob("*/model.qtt"))]


def inputs(graph: Graph, count: int) -> np.ndarray:
    """Random integers over the whole of a graph's input format."""
    edge = graph.input.edge
    rng = np.random.default_rng(0)
    return rng.integers(edge.format.minimum, edge.format.maximum + 1, (count, *edge.shape))


def compare(graph: Graph, path: Path, x: np.ndarray) -> None:
    ours, theirs = qtt_hw.run(graph, x, intermediates=True), Model(path).run(x)
    for node in graph.nodes:
        assert np.array_equal(theirs[node.name], ours[node.name]), node.name


@pytest.mark.parametrize("path", MODELS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_stage_of_a_committed_model_is_the_same(path: Path) -> None:
    graph = qtt_hw.load(path)
    compare(graph, path, inputs(graph, 1))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_form_of_every_kind_is_the_same(name: str, tmp_path: Path) -> None:
    graph = NETWORKS[name]()
    qtt_hw.save(graph, tmp_path / "model.qtt")
    compare(graph, tmp_path / "model.qtt", inputs(graph, 2))


def test_padding_that_a_mean_counts_and_a_narrow_output_are_the_same(tmp_path: Path) -> None:
    window = Window((1, 3, 3), (1, 2, 2), ((0, 0), (1, 1), (1, 0)))
    mean = Pool("mean", ("input",), "", "average", window, counts_padding=True)
    narrow = Requantizer(qtt_hw.Format(4, True, 0, narrow=True), 0)
    graph = Graph(
        "counted",
        InputSpec(Edge((2, 5, 6, 3), qtt_hw.Format(6, True, 0)), (2, 5, 6, 3)),
        (mean, Add("sum", ("mean", "mean"), "", (0, 0), narrow)),
    )
    qtt_hw.save(graph, tmp_path / "model.qtt")
    compare(graph, tmp_path / "model.qtt", inputs(graph, 4))


@pytest.mark.parametrize(
    ("sample_shape", "block", "offset", "gain"),
    [((5, 4, 6, 2), 2, 0, 1), ((1, 5, 5, 3), 2, 128, 1), ((4, 3, 7, 1), 3, 1, 2), ((1, 1, 1, 6), 1, 3, 1)],
)
def test_samples_become_the_same_integers(
    sample_shape: tuple[int, int, int, int], block: int, offset: int, gain: int, tmp_path: Path
) -> None:
    spec = qtt_hw.input_spec(sample_shape, block, offset, qtt_hw.Format(16, True, 0), gain)
    qtt_hw.save(Graph("samples", spec, (Slice("head", ("input",), "", 0, 1),)), tmp_path / "model.qtt")
    raw = np.random.default_rng(0).integers(0, 256, (3, *sample_shape)).astype(np.uint8)
    assert np.array_equal(Model(tmp_path / "model.qtt").integers(raw), qtt_hw.preprocess(spec, raw))


def test_a_changed_file_is_found_by_its_digest(tmp_path: Path) -> None:
    content = bytearray((ROOT / "models" / "lenet-mnist.qtt").read_bytes())
    content[-1] ^= 1
    (tmp_path / "changed.qtt").write_bytes(content)
    with pytest.raises(ValueError, match="changed"):
        Model(tmp_path / "changed.qtt")


def test_it_runs_by_itself_and_prints_logits_and_class(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28, 1)).astype(np.uint8)
    np.save(tmp_path / "samples.npy", images)
    model = ROOT / "models" / "lenet-mnist.qtt"
    command = [sys.executable, "-I", str(SCRIPT), str(model), str(tmp_path / "samples.npy")]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.splitlines()
    graph = qtt_hw.load(model)
    logits = qtt_hw.run(graph, qtt_hw.preprocess(graph.input, images))["linear2"].reshape(3, 10)
    assert lines == [f"{row.tolist()} {graph.labels[int(np.argmax(row))]}" for row in logits]


def test_it_imports_nothing_of_this_project() -> None:
    code = f"import runpy, sys; runpy.run_path({str(SCRIPT)!r}); assert not {{'qtt_hw', 'torch'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_the_page_names_every_kind_and_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for record in RECORDS:
        for name, field in record.model_fields.items():
            kinds = getattr(field.annotation, "__args__", ()) if name == "kind" else (name,)
            for word in kinds:
                told = f"`{word}`" in text or f"### {word}" in text or f", {word}\n" in text
                assert told, f"{record.__name__}: {word}"
