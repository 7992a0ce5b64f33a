"""Training curves: what stands in the log is what is drawn, by epoch and phase."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from qtt_hw.data import Splits
from qtt_hw.folders import RUN, refuse_foreign
from qtt_hw.training import plot_curves, train
from qtt_hw.training.config import Config

KEPT = Path(__file__).parents[2] / "fixtures" / "present" / "run"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run, two epochs in float and one quantised."""
    return Path(shutil.copytree(KEPT, tmp_path / "run"))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn."""
    drawn: list[Figure] = []
    original = Figure.savefig

    def savefig(self: Figure, *arguments: object, **options: object) -> None:
        drawn.append(self)
        original(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return drawn


def test_the_curves_are_those_of_the_log(run: Path, figures: list[Figure]) -> None:
    assert plot_curves(run) == run / "curves.png"
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    loss, accuracy, rate = figures[0].axes

    def lines(axes: Axes, colour: str) -> list[list[float]]:
        """[epoch, value] of all phases' lines of a colour."""
        found = [line.get_xydata() for line in axes.lines if same_color(line.get_color(), colour)]
        return np.concatenate(found).tolist()

    epochs = [1.0, 2.0, 3.0]
    for axes, colour, name, unit in (
        (loss, "C0", "loss", 1),
        (accuracy, "C0", "train_accuracy", 100),
        (accuracy, "C1", "validation_accuracy", 100),
        (rate, "C0", "lr", 1),
    ):
        values = [unit * row[name] for row in rows]
        assert lines(axes, colour) == [list(pair) for pair in zip(epochs, values, strict=True)]
    assert [(text.get_text().strip(), text.get_position()[0]) for text in loss.texts] == [
        ("float", 0.5),
        ("quantized", 2.5),
    ]
    for axes in (loss, accuracy, rate):
        assert [line.get_xdata() for line in axes.lines if same_color(line.get_color(), "grey")] == [[2.5, 2.5]]
    assert rate.get_yscale() == "log"
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["train", "validation"]


@pytest.mark.parametrize(("ending", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_the_ending_says_the_kind_of_file(run: Path, tmp_path: Path, ending: str, begin: bytes) -> None:
    file = tmp_path / f"plot.{ending}"
    assert plot_curves(run, file) == file and file.read_bytes().startswith(begin)
    assert not (run / "curves.png").exists()


def test_an_unfinished_run_is_drawn_as_far_as_it_has_got(run: Path, figures: list[Figure]) -> None:
    lines = (run / "log.jsonl").read_text().splitlines(keepends=True)
    (run / "log.jsonl").write_text(lines[0] + lines[1][:50])
    (run / "result.json").unlink()
    plot_curves(run)
    assert figures[0].axes[0].lines[0].get_xdata().tolist() == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "log.jsonl: has no epoch yet"),
        ("", "log.jsonl: has no epoch yet"),
        ("{}\n", "log.jsonl: an epoch is not what qtt train writes: its loss is None"),
        ('{"loss": "1"}\n', "log.jsonl: an epoch is not what qtt train writes: its loss is '1'"),
        ("[]\n", "log.jsonl: holds list, expected an object"),
        ("{\n", "log.jsonl: not JSON: "),
    ],
)
def test_what_cannot_be_drawn_is_named(run: Path, content: str | None, message: str) -> None:
    (run / "log.jsonl").unlink()
    if content is not None:
        (run / "log.jsonl").write_text(content)
    with pytest.raises(ValueError) as refused:
        plot_curves(run)
    assert str(refused.value).startswith(f"{run}/{message}")
    assert not (run / "curves.png").exists()


def test_another_ending_is_refused(run: Path) -> None:
    with pytest.raises(ValueError, match=r"plot\.txt: a plot ends in \.png, \.svg or \.pdf$"):
        plot_curves(run, run / "plot.txt")


@pytest.fixture
def short(config: Config) -> Config:
    return config.changed("short", {"train": {"epochs": 1}}, ["teacher", "quant"])


def test_a_run_is_drawn_when_it_ends(short: Config, solids: Splits, tmp_path: Path) -> None:
    train(short, solids, tmp_path / "run")
    drawn = (tmp_path / "run" / "curves.png").read_bytes()
    assert plot_curves(tmp_path / "run").read_bytes() == drawn
    refuse_foreign(tmp_path / "run", RUN)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"notes\.txt: was not written by qtt"):
        refuse_foreign(tmp_path / "run", RUN)


def test_without_matplotlib_nothing_is_drawn_and_nothing_fails(
    short: Config, solids: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    train(short, solids, tmp_path / "run")
    assert (tmp_path / "run" / "result.json").exists() and not (tmp_path / "run" / "curves.png").exists()
    with pytest.raises(ImportError):
        plot_curves(tmp_path / "run")


def test_a_run_of_no_epochs_or_with_a_changed_log_ends_without_curves(
    short: Config, solids: Splits, tmp_path: Path
) -> None:
    train(short.changed("none", {"train": {"epochs": 0}}), solids, tmp_path / "none")
    assert (tmp_path / "none" / "result.json").exists() and not (tmp_path / "none" / "curves.png").exists()
    train(short, solids, tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    log.write_text("#" + log.read_text()[1:])
    for name in ("result.json", "curves.png"):
        (tmp_path / "run" / name).unlink()
    train(short, solids, tmp_path / "run")
    assert (tmp_path / "run" / "result.json").exists() and not (tmp_path / "run" / "curves.png").exists()
