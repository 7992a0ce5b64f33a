"""The section on training: the log's numbers by phase, and the front of ranks as it stands in its file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from qtt_hw.report.training import front_beside, training_sections
from tests.figures import charts, check

MODELS = Path(__file__).parents[3] / "models"


def front(folder: Path, **changed: object) -> Path:
    """As `qtt compress` writes it."""
    common = {"macs": 5, "parameters": 9}
    points = [
        {"ranks": {"conv": [4, 8]}, "accuracy": 0.8, "cycles": 1000, "brams": 3, "number": 1},
        {"ranks": {}, "accuracy": 0.7, "cycles": 1500.5, "brams": 2, "number": 7},
        {"ranks": {"<b>": [2]}, "accuracy": 0.9, "cycles": None, "brams": None, "number": 3},
    ]
    points = [common | point for point in points]
    path = folder / "front.json"
    path.write_text(json.dumps({"device": "ecp5-25f", "dense_accuracy": 0.95, "points": points, **changed}))
    return path


def test_the_curves_are_those_of_the_log() -> None:
    run = MODELS / "voxtt-modelnet10-run"
    sections = training_sections(run)
    check(sections)
    assert "teacher of 40, float of 40, quantized of 20." in sections[0].text and "95.5 %" in sections[0].text
    lines = charts(sections)["curves"].figure["data"]
    assert [line["name"] for line in lines[:4]] == ["loss", "accuracy in training", "on validation", "learning rate"]
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for offset, (name, factor) in enumerate(
        (("loss", 1), ("train_accuracy", 100), ("validation_accuracy", 100), ("lr", 1))
    ):
        values = [y for line in lines[offset::4] for y in line["y"]]
        assert values == pytest.approx([factor * row[name] for row in rows], rel=1e-3)
    assert [x for line in lines[::4] for x in line["x"]] == list(range(1, 101))
    assert [each["text"] for each in charts(sections)["curves"].figure["layout"]["annotations"]] == [
        "teacher",
        "float",
        "quantized",
    ]


def test_the_front_marks_the_runs_own_trial(tmp_path: Path) -> None:
    run = tmp_path / "7"
    shutil.copytree(MODELS / "voxtt-modelnet10-run", run)
    assert front_beside(run) is None
    path = front(tmp_path)
    assert front_beside(run) == path
    sections = training_sections(run)
    check(sections)
    line, trials = charts(sections)["front"].figure["data"]
    assert trials["x"] == [1000, 1500.5] and trials["y"] == [80.0, 70.0] and line["y"] == [80.0, 80.0]
    assert trials["marker"]["line"]["width"] == [0, 3]
    assert list(charts(training_sections(None, path))) == ["front"]


def test_without_a_run_or_front_there_is_no_section() -> None:
    assert training_sections(None) == []


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"front\.json: dense_accuracy: .* less than or equal to 1, got 7"):
        training_sections(None, front(tmp_path, dense_accuracy=7))
    with pytest.raises(ValueError, match=r"front\.json: none of its 0 points fits the device"):
        training_sections(None, front(tmp_path, points=[]))
    (tmp_path / "front.json").write_text("{")
    with pytest.raises(ValueError, match=r"front\.json: "):
        training_sections(None, tmp_path / "front.json")
    with pytest.raises(ValueError, match=r"log\.jsonl: has no epoch yet"):
        training_sections(tmp_path)
