"""QTTNet's way: plan a configuration, train along the chosen paths, and prove what comes out."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

import qtt_hw
from qtt_hw.cli import main
from qtt_hw.graph import Contraction, Graph

NET = """
from torch import nn
from qtt_hw import PairAvgPool3d, QTTConv3d

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv3d(1, 8, 3, padding=1, bias=False), nn.BatchNorm3d(8), nn.ReLU(),
            QTTConv3d(8, 8, (2, 4), (4, 2), 2, padding=1), nn.BatchNorm3d(8), nn.ReLU(),
            PairAvgPool3d(3, 3, "same"),
            QTTConv3d(8, 12, (4, 2), (3, 4), 2, padding=1, path="2 1 0"), nn.BatchNorm3d(12), nn.ReLU(),
            PairAvgPool3d(3, 4, "same"),
            nn.Flatten(), nn.Linear(12, 6),
        )
"""
TOML = """
[model]
name = "net.py:Net"
[train]
epochs = 1
batch = 16
lr = 1e-2
threads = 1
[quant]
weight_bits = WB
epochs = 1
batch = 16
calibration = 2
reestimate = 2
tt_form = "FORM"
"""
DATA = "solids:8"


def qtt(*arguments: object) -> dict[str, Any]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def contractions(graph: Graph) -> list[Contraction]:
    return [node for node in graph.nodes if isinstance(node, Contraction)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    path = tmp_path / "run.toml"
    path.write_text(TOML.replace("WB", "4").replace("FORM", "streamed"))
    return path


def test_a_plan_decides_how_the_trained_model_is_contracted(config: Path, tmp_path: Path) -> None:
    plan = qtt("plan", config, "--data", DATA, "--device", "ecp5-12f", "-o", tmp_path / "before.json")
    chosen = {path["layer"]: path["path"] for path in plan["paths"] if path["chosen"]}
    assert set(chosen) == {"3", "7"}
    assert any(" " in path for path in chosen.values()), "every layer was merged to a dense one"
    assert {path["path"] for path in plan["paths"] if path["layer"] == "3"} == {
        *("0 1 2", "2 1 0", "0-1 2", "2 0-1", "0 1-2", "1-2 0", "0-2")
    }
    out = tmp_path / "run"
    qtt("train", config, "--data", DATA, "--plan", tmp_path / "before.json", "--out", out)
    qtt("freeze", out, "-o", tmp_path / "model.qtt")
    graph = qtt_hw.load(tmp_path / "model.qtt")
    # The model has the stages that were planned, in their order.
    assert [node.name for node in graph.nodes if node.name != "12.flat"] == [s["stage"] for s in plan["stages"]]
    after = qtt("plan", tmp_path / "model.qtt", "--device", "ecp5-12f", "-o", tmp_path / "plan.json")
    assert after["paths"] == []
    qtt("emit", tmp_path / "model.qtt", "--plan", tmp_path / "plan.json", "--taps", "-o", tmp_path / "build")
    found = qtt("cosim", tmp_path / "build", "--data", DATA, "--samples", 6)
    assert found["equal"] and found["cycles"] == found["predicted_cycles"] == after["cycles"]


def test_a_path_that_the_configuration_names_is_kept(config: Path) -> None:
    config.write_text(config.read_text().replace('name = "net.py:Net"', 'name = "net.py:Net"\npaths = { "3" = "0-2" }'))
    plan = qtt("plan", config, "--data", DATA)
    assert {path["layer"] for path in plan["paths"]} == {"7"}
    assert "3.core0_2" in [stage["stage"] for stage in plan["stages"]]


def test_a_merged_layer_is_one_dense_stage(config: Path, tmp_path: Path) -> None:
    config.write_text(TOML.replace("WB", "8").replace("FORM", "merged"))
    assert qtt("plan", config, "--data", DATA)["paths"] == []
    qtt("train", config, "--data", DATA, "--out", tmp_path / "run")
    qtt("freeze", tmp_path / "run", "-o", tmp_path / "model.qtt")
    stages = contractions(qtt_hw.load(tmp_path / "model.qtt"))
    assert [stage.source for stage in stages] == ["0", "3", "7", "12"]
    assert [stage.weight.shape for stage in stages[1:3]] == [(8, 3, 3, 3, 8), (12, 3, 3, 3, 8)]


def test_a_plan_that_is_not_the_configurations_is_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(plan: Path) -> str:
        code = main(["train", str(config), "--data", DATA, "--plan", str(plan), "--out", str(tmp_path / "run")])
        assert code != 0 and not (tmp_path / "run").exists()
        return capsys.readouterr().err

    plan = tmp_path / "plan.json"
    qtt("plan", config, "--data", DATA, "--device", "ecp5-12f", "-o", plan)
    content = json.loads(plan.read_text())
    plan.write_text(json.dumps(content | {"paths": []}))
    assert "plan.json: chooses no paths; make it from the configuration: qtt plan" in train(plan)
    plan.write_text(json.dumps(content | {"model": "other"}))
    assert "plan.json: is a plan of other, not of run" in train(plan)


def test_a_failed_start_leaves_no_run_behind(config: Path, tmp_path: Path) -> None:
    right = config.read_text()
    config.write_text(right.replace('name = "net.py:Net"', 'name = "net.py:Net"\npaths = { "0" = "best" }'))
    assert main(["train", str(config), "--data", DATA, "--out", str(tmp_path / "run")]) != 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('paths = { "3" = "0 2" }', "model.paths: 3: path 0 2: its groups must cover the cores"),
        ('paths = { "0" = "best" }', "model.paths: 0 is a Conv3d, paths are for QTTConv3d and TTLinear"),
        ('paths = { "99" = "best" }', "model.paths: the network has no layer '99'"),
    ],
)
def test_a_wrong_path_is_named(config: Path, change: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace('name = "net.py:Net"', f'name = "net.py:Net"\n{change}'))
    assert main(["plan", str(config), "--data", DATA]) != 0
    assert message in capsys.readouterr().err
