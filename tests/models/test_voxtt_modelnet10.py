"""The committed model: its size, its accuracy, and that the prepared model computes it, on all test objects."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from qtt_hw.data import load as load_data
from qtt_hw.evaluation import evaluate
from qtt_hw.graph import Contraction
from qtt_hw.graph.file import digest_of, load
from qtt_hw.graph.golden import run
from qtt_hw.graph.preprocess import preprocess
from qtt_hw.training import freeze_run, load_run

MODELS = Path(__file__).parents[2] / "models"
MODEL = MODELS / "voxtt-modelnet10.qtt"
RUN = MODELS / "voxtt-modelnet10-run"
RESULTS = Path(__file__).parents[2] / "results"

needs_data = pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")


@pytest.fixture(scope="module")
def splits():
    return load_data(Path(os.environ["QTT_DATA"]) / "modelnet10")


def test_size_and_widths():
    graph = load(MODEL)
    assert MODEL.stat().st_size <= 64 * 1024
    assert graph.weight_bytes <= 16_000
    assert all(node.weight_format.bits <= 4 for node in graph.nodes if isinstance(node, Contraction))
    assert all(edge.format.bits <= 8 for name, edge in graph.edges.items() if name != graph.nodes[-1].name)


def test_the_run_freezes_to_the_same_file(tmp_path):
    freeze_run(RUN, tmp_path / "again.qtt")
    assert digest_of(tmp_path / "again.qtt") == digest_of(MODEL)


@needs_data
def test_accuracy_on_the_official_test_set_is_the_reported_one(splits):
    found = evaluate(load(MODEL), splits)
    rows = json.loads((RESULTS / "modelnet10-quantized.json").read_text())["rows"]
    (row,) = [row for row in rows if (row["config"], row["seed"]) == ("voxtt-modelnet10", 0)]
    assert found.samples == 908 and found.samples_unseen == 908 - 72
    assert found.accuracy == row["test_accuracy"] >= 0.90
    assert found.accuracy_unseen == row["test_accuracy_unseen"]


@needs_data
def test_the_prepared_model_equals_golden_on_every_test_object(splits):
    prepared, _, spec, _ = load_run(RUN)
    graph = load(MODEL)
    x = preprocess(spec, splits.test.x)
    logits = prepared(torch.from_numpy(x.astype(np.float32)).permute(0, 4, 1, 2, 3))
    golden = run(graph, x)[graph.nodes[-1].name].reshape(len(x), -1)
    assert len(x) == 908
    assert torch.equal(logits.double() * 2.0**graph.output.format.frac, torch.from_numpy(golden).double())
