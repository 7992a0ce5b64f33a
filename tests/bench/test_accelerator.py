"""The accelerator's script in small, on the processor: everything that it does but CUDA."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench import accelerator

ROOT = Path(__file__).parents[2]
TINY = """
[model]
name = "voxtt"
args = { widths = [4, 4], strides = [1, 2], ranks = 2, head = "average" }
[data]
options = { edge = 8, classes = 2, per_class = 20 }
[train]
epochs = 1
threads = 1
"""


@pytest.mark.long
def test_the_script_in_small(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    queue = tmp_path / "queue.toml"
    queue.write_text('[[run]]\nconfig = "tiny.toml"\ndata = "solids"\ntopic = "tiny"\nseeds = [0]\n')
    command = ["bash", "bench/accelerator.sh", "--device", "cpu", "--small", "--queue", queue, "--only", "tiny"]
    environment = {**os.environ, "PYTHON": sys.executable}
    ran = subprocess.run([*command, "-o", tmp_path / "out"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    report = json.loads((tmp_path / "out" / "accelerator.json").read_text())
    assert report["device"] == "cpu" and report["seconds"] < 300
    assert [row["different"] for row in report["golden"]] == [0] and report["batches"]["different"] == 0
    assert {(row["phase"], row["how"]) for row in report["steps"]} == {
        ("float", "float32"),
        ("float", "bfloat16"),
        ("quantized", "float32, then exact"),
    }
    assert all(row["steps_a_second"] > 0 for row in report["steps"])
    assert report["rows"]["ended"] == [0]
    (row,) = json.loads((tmp_path / "out" / "results" / "tiny-float.json").read_text())["rows"]
    assert row["accelerator"] == "cpu" and row["epochs"] == 1
    assert (tmp_path / "out" / "runs.tar").exists()


def test_logits_that_are_not_equal_are_an_error_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = accelerator.golden_logits
    monkeypatch.setattr(accelerator, "golden_logits", lambda graph, x: golden(graph, x) + (x.sum(axis=(1, 2, 3)) < 0))
    monkeypatch.setattr(accelerator, "measured", lambda *arguments: [])
    assert accelerator.main(["--device", "cpu", "--small", "-o", str(tmp_path)]) == 0

    def wrong(graph: object, x: object) -> object:
        found = golden(graph, x)
        found[0, 0] += 1
        return found

    monkeypatch.setattr(accelerator, "golden_logits", wrong)
    assert accelerator.main(["--device", "cpu", "--small", "-o", str(tmp_path)]) != 0
    assert "cpu: not equal: voxtt-modelnet10-run; see" in capsys.readouterr().err


def test_a_training_that_fails_is_an_error_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, found in (("equal_to_golden", []), ("equal_batches", {"different": 0}), ("orders_of_memory", [])):
        monkeypatch.setattr(accelerator, name, lambda *arguments, found=found: found)
    monkeypatch.setattr(accelerator, "measured", lambda *arguments: [])
    ended = {"ended": [None, 1], "said": [[], ["begun", "no data"]]}
    monkeypatch.setattr(accelerator, "train_rows", lambda *arguments: ended)
    assert accelerator.main(["--device", "cpu", "--small", "--only", "x", "-o", str(tmp_path)]) != 0
    assert "cpu: training ended with 1, see" in (said := capsys.readouterr().err) and said.endswith(": no data\n")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_says_how_to_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert accelerator.main(["-o", str(tmp_path / "out")]) != 0
    assert "finds no CUDA device; in small: --device cpu --small" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
