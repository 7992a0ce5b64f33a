"""A run's training curves: loss, accuracies and learning rate of every epoch, from its log."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from qtt_hw.errors import named
from qtt_hw.files import write_file
from qtt_hw.training.store import RunStore

__all__ = ["Curve", "curves_of", "plot_curves"]

#: What a row of the log needs to be drawn.
FIELDS = ("loss", "train_accuracy", "validation_accuracy", "lr")


@dataclass(frozen=True)
class Curve:
    """One phase of a run.

    Attributes
    ----------
    phase : str
    epochs : range
        Counted from 1 through all phases.
    loss, train_accuracy, validation_accuracy, lr : tuple of float
        Of every epoch; accuracies from 0 to 1.
    """

    phase: str
    epochs: range
    loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    lr: tuple[float, ...]


def curves_of(run: str | Path) -> list[Curve]:
    """The curves of a run's phases, as far as it has got.

    Raises
    ------
    ValueError
        When the run has no epoch yet, or its log is damaged.
    """
    store = RunStore(Path(run))
    rows = store.rows()
    if not rows:
        raise ValueError(f"{store.log}: has no epoch yet")
    found, before = [], 0
    with named(store.log):
        for phase, group in groupby(rows, lambda row: str(row.get("phase"))):
            columns = list(zip(*([_number(row, name) for name in FIELDS] for row in group), strict=True))
            found.append(Curve(phase, range(before + 1, before + len(columns[0]) + 1), *columns))
            before = found[-1].epochs[-1]
    return found


def plot_curves(run: str | Path, file: str | Path | None = None) -> Path:
    """Plot loss, accuracy and learning rate over the epochs of a run, phase after phase, as far as it has got.

    `qtt_hw.train` does so when it ends, where matplotlib is installed.

    Parameters
    ----------
    run : path
        A run's folder.
    file : path, optional
        .png, .svg or .pdf, replaced if it is there; by default curves.png in the run's folder.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        When the run has no epoch yet, its log is damaged, or the file has another ending.
    ImportError
        Without matplotlib.
    """
    store = RunStore(Path(run))
    file = store.curves if file is None else Path(file)
    kind = file.suffix.removeprefix(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise ValueError(f"{file}: a plot ends in .png, .svg or .pdf")
    write_file(file, _drawn(curves_of(run), kind))
    return file


def _drawn(curves: list[Curve], kind: str) -> bytes:
    """The plot as the content of a file."""
    from matplotlib.figure import Figure  # not pyplot, whose settings are the caller's
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 7))
    loss, accuracy, rate = figure.subplots(3, sharex=True)
    for curve in curves:
        epochs, before = curve.epochs, curve.epochs[0] - 1
        if before:
            for axes in (loss, accuracy, rate):
                axes.axvline(before + 0.5, linestyle=":", color="grey")
        # No phase's name is a formula.
        text = loss.text(before + 0.5, 1.0, f" {curve.phase}", transform=loss.get_xaxis_transform(), va="bottom")
        text.set_parse_math(False)
        loss.plot(epochs, curve.loss, "C0.-")
        for values, colour, label in (
            (curve.train_accuracy, "C0.-", "train"),
            (curve.validation_accuracy, "C1.-", "validation"),
        ):
            accuracy.plot(epochs, [100 * value for value in values], colour, label=None if before else label)
        rate.plot(epochs, curve.lr, "C0.-")
    accuracy.legend(loc="lower right")
    loss.set(ylabel="loss")
    accuracy.set(ylabel="accuracy, %")
    rate.set(yscale="log", ylabel="learning rate", xlabel="epoch", xlim=(0.5, curves[-1].epochs[-1] + 0.5))
    rate.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.subplots_adjust(left=0.12, right=0.97, bottom=0.08, top=0.95, hspace=0.1)
    content = io.BytesIO()
    figure.savefig(content, dpi=100, format=kind, metadata=None if kind == "png" else {_DATED[kind]: None})
    return content.getvalue()


#: What says in a file when it was made.
_DATED = {"svg": "Date", "pdf": "CreationDate"}


def _number(row: dict[str, Any], name: str) -> float:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"an epoch is not what qtt train writes: its {name} is {value!r}")
    return float(value)
