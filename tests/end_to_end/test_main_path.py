"""The whole way on a tiny network through the command line, and that a spoilt design does not pass."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qtt_hw
from qtt_hw.cli import main
from qtt_hw.data import Splits
from qtt_hw.fixedpoint import as_integers
from qtt_hw.graph import Contraction, Graph, golden
from qtt_hw.graph.file import digest_of, save

TOML = """
[model]
name = "voxtt"
args = { widths = [8, 8], strides = [2, 1], ranks = 4, head = "average" }
[data]
block = 2
[train]
epochs = 6
batch = 16
lr = 1e-2
threads = 1
[quant]
epochs = 3
batch = 16
lr = 2e-3
calibration = 2
reestimate = 2
"""
DATA = "solids:8"
SAMPLES = 24


def qtt(*arguments: object, code: int = 0) -> dict[str, Any]:
    """What `qtt ... --json` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*map(str, arguments), "--json"]) == code
    assert out.getvalue().count("\n") == 1
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@dataclasses.dataclass(frozen=True)
class Way:
    """The files of one way through, and what each verb printed."""

    model: Path
    build: Path
    printed: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Way:
    folder = tmp_path_factory.mktemp("way")
    config, run, model = folder / "tiny.toml", folder / "run", folder / "model.qtt"
    plan, build = folder / "plan.json", folder / "build"
    config.write_text(TOML)
    printed = {
        "train": qtt("train", config, "--data", DATA, "--out", run),
        "freeze": qtt("freeze", run, "-o", model),
        "eval": qtt("eval", model, "--data", DATA),
        "plan": qtt("plan", model, "--device", "ecp5-25f", "--fps", "200000", "-o", plan),
        "emit": qtt("emit", model, "--plan", plan, "--taps", "-o", build),
        "cosim": qtt("cosim", build, "--data", DATA, "--samples", SAMPLES),
    }
    return Way(model, build, printed)


@pytest.fixture(scope="module")
def solids() -> Splits:
    return qtt_hw.data.load(DATA)


def test_what_is_trained_is_what_is_frozen(way: Way, solids: Splits) -> None:
    from qtt_hw.training import load_run

    trained, frozen, found = way.printed["train"], way.printed["freeze"], way.printed["eval"]
    assert trained["phases"]["quantized"]["epochs"] == 3
    assert (frozen["weight_bytes"], frozen["digest"]) == (found["weight_bytes"], digest_of(way.model))
    assert found["samples"] == len(solids.test) and found["accuracy"] > 0.4
    # The prepared model, the golden model and the file agree on every logit.
    prepared, _, spec, _ = load_run(Path(trained["run"]))
    x = qtt_hw.preprocess(spec, solids.test.x)
    graph = qtt_hw.load(way.model)
    last = graph.nodes[-1].name
    import torch

    inputs = torch.from_numpy(x.astype(np.float32)).permute(0, 4, 1, 2, 3)
    logits = prepared(inputs).double().numpy() * 2.0**prepared.output_format.frac
    assert np.array_equal(logits, golden.run(graph, x)[last].reshape(len(x), -1))


def test_the_design_equals_the_model_in_the_predicted_cycles(way: Way) -> None:
    plan, emitted, found = way.printed["plan"], way.printed["emit"], way.printed["cosim"]
    assert found["equal"] is True and found["first_difference"] is None
    assert (found["samples"], found["engine"], found["periodic"]) == (SAMPLES, "verilator", True)
    assert found["cycles"] == found["predicted_cycles"] == plan["cycles"] <= 500
    assert found["latency"] == found["predicted_latency"] == plan["latency"]
    stages = [node.name for node in qtt_hw.load(way.model).nodes]
    assert [tap["stage"] for tap in emitted["taps"]] == [s["stage"] for s in plan["stages"]]
    assert set(s["stage"] for s in plan["stages"]) <= set(stages)


@pytest.mark.parametrize("seed", range(3))
def test_stalls_change_nothing_but_time(way: Way, seed: int) -> None:
    found = qtt("cosim", way.build, "--data", DATA, "--samples", SAMPLES, "--stalls", "--seed", seed)
    assert found["equal"] is True and found["stalls"] is True


def test_cocotb_agrees_under_stalls(way: Way) -> None:
    found = qtt("cosim", way.build, "--data", DATA, "--samples", 2, "--engine", "cocotb", "--stalls", "--seed", 1)
    assert found["equal"] is True and found["engine"] == "cocotb" and found["samples"] == 2


def test_more_samples_than_there_are_is_refused(way: Way, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cosim", str(way.build), "--data", DATA, "--samples", "9999"]) == 1
    assert "--samples 9999: the test split has 600; give 1 to 600, or all" in capsys.readouterr().err


# A design that is not the model's


def _contraction(graph: Graph) -> int:
    return next(i for i, node in enumerate(graph.nodes) if node.name.endswith("conv.h"))


def _weight(graph: Graph) -> Graph:
    index = _contraction(graph)
    node = graph.nodes[index]
    assert isinstance(node, Contraction)
    weight = np.array(node.weight)
    centre = tuple(n // 2 for n in weight.shape)
    weight[centre] += 1 if weight[centre] < node.weight_format.maximum else -1
    return _with(graph, index, dataclasses.replace(node, weight=as_integers(weight)))


def _with(graph: Graph, index: int, node: Contraction) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = node
    return dataclasses.replace(graph, nodes=tuple(nodes))


def test_a_spoilt_design_is_not_equal(way: Way, tmp_path: Path) -> None:
    graph = qtt_hw.load(way.model)
    build = tmp_path / "build"
    qtt_hw.emit(_weight(graph), build, way.build / "plan.json", taps=True)
    # The design is judged by the model that it claims to be.
    digest = save(graph, build / "model.qtt")
    manifest = json.loads((build / "manifest.json").read_text())
    (build / "manifest.json").write_text(json.dumps({**manifest, "digest": digest}))
    found = qtt("cosim", build, "--data", DATA, "--samples", 4, code=1)
    assert found["equal"] is False
    assert found["first_difference"]["stage"] == graph.nodes[_contraction(graph)].name
