"""The report's section on training: a run's curves, and the front of a search of ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, Field

from qtt_hw.reading import read_json
from qtt_hw.report.confusion import percent
from qtt_hw.report.look import AMBER, BLUE, GREEN, GREY, figure, plain, rounded
from qtt_hw.report.section import Chart, Part, Section

__all__ = ["front_beside", "training_sections"]

#: How many times the least the most cycles are from which on their axis is logarithmic.
DECADES: Final = 20


class _Point(BaseModel):
    """A network of the front, as `qtt compress` writes it; what else it has is not drawn."""

    ranks: dict[str, tuple[int, ...]]
    accuracy: float = Field(ge=0, le=1)
    cycles: float | None = Field(default=None, gt=0)
    brams: int | None = None
    parameters: int
    number: int


class _Front(BaseModel):
    device: str
    dense_accuracy: float = Field(ge=0, le=1)
    points: tuple[_Point, ...]


def front_beside(run: Path) -> Path | None:
    """The front of ranks that a run is a point of: `front.json` in its folder, or in the compression's it lies in."""
    return next((path for path in (run / "front.json", run.parent / "front.json") if path.is_file()), None)


def training_sections(run: Path | None, front: Path | None = None) -> list[Section]:
    """Curves of every phase of a run, and the front of ranks; nothing where there is neither.

    Parameters
    ----------
    run : Path, optional
        A folder of `qtt train`.
    front : Path, optional
        `front.json` of `qtt compress`; without one the run's own, if it has one.

    Raises
    ------
    ValueError
        One line that names the log or the front where it is damaged.
    """
    parts: list[Part] = []
    text = []
    if run is not None:
        from qtt_hw.training.curves import curves_of

        found = curves_of(run)
        parts.append(_curves(found))
        last = found[-1]
        phases = ", ".join(f"{curve.phase} of {len(curve.epochs)}" for curve in found)
        text.append(
            f"The run's phases in epochs: {phases}. The last epoch has {percent(last.validation_accuracy[-1])} % "
            "on validation."
        )
        front = front or front_beside(run)
    if front is not None:
        parts.append(_front(front, "" if run is None else run.resolve().name))
        text.append(
            "The front of ranks is what no other trial of the search beats in everything: accuracy, cycles, block RAM."
        )
    return [Section("training", "Training", " ".join(text), parts)] if parts else []


def _curves(curves: list[Any]) -> Chart:
    """Loss, accuracies and learning rate over the epochs of all phases."""
    data: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    names: list[dict[str, Any]] = []

    def line(curve: Any, values: tuple[float, ...], axis: str, name: str, colour: str, legend: bool) -> None:
        # Epochs of a phase that has one only are seen by their markers.
        data.append(
            {
                "type": "scatter",
                "mode": "lines" if len(values) > 1 else "markers",
                "x": list(curve.epochs),
                "y": rounded(values),
                "name": name,
                "legendgroup": name,
                "showlegend": legend,
                "line": {"color": colour, "width": 1.8},
                "marker": {"color": colour},
                "xaxis": "x",
                "yaxis": axis,
                "hovertemplate": f"{plain(curve.phase)}, epoch %{{x}}: %{{y}}<extra>{name}</extra>",
            }
        )

    for number, curve in enumerate(curves):
        first = number == 0
        line(curve, curve.loss, "y", "loss", GREY, first)
        line(curve, tuple(100 * v for v in curve.train_accuracy), "y2", "accuracy in training", BLUE, first)
        line(curve, tuple(100 * v for v in curve.validation_accuracy), "y2", "on validation", AMBER, first)
        line(curve, curve.lr, "y3", "learning rate", GREEN, first)
        start = curve.epochs[0] - 0.5
        if not first:
            mark = {"color": GREY, "width": 1, "dash": "dot"}
            marks.append(
                {"type": "line", "xref": "x", "yref": "paper", "x0": start, "x1": start, "y0": 0, "y1": 1, "line": mark}
            )
        names.append(
            {
                "xref": "x",
                "yref": "paper",
                "x": start,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "text": plain(curve.phase, 16),
                "showarrow": False,
                "font": {"size": 11},
            }
        )
    end = curves[-1].epochs[-1] + 0.5
    common = {"automargin": True, "zeroline": False}
    layout = figure(
        data,
        560,
        xaxis={"title": {"text": "epoch"}, "range": [0.5, end], "anchor": "y3", "zeroline": False},
        yaxis=common | {"domain": [0.72, 1.0], "title": {"text": "loss"}},
        yaxis2=common | {"domain": [0.32, 0.66], "ticksuffix": " %", "title": {"text": "accuracy"}},
        yaxis3=common
        | {
            "domain": [0.0, 0.26],
            "type": "log",
            "exponentformat": "power",
            "dtick": 1,
            "tickfont": {"size": 10},
            "title": {"text": "learning rate"},
        },
        shapes=marks,
        annotations=names,
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": -0.13, "yanchor": "top", "font": {"size": 11}},
        margin={"l": 60, "r": 16, "t": 28, "b": 84},
    )
    return Chart("curves", "Training curves", layout, "Phases one after the other, each with a schedule of its own.")


def _front(path: Path, own: str) -> Chart:
    """Accuracy against cycles of what no other trial beats; the trial of a name is marked."""
    found = read_json(path, _Front)
    points = sorted(((p.cycles, p) for p in found.points if p.cycles is not None), key=lambda pair: pair[0])
    if not points:
        raise ValueError(f"{path}: none of its {len(found.points)} points fits the device")
    said = []
    for _, point in points:
        ranks = "<br>".join(f"{plain(layer, 40)}: {', '.join(map(str, each))}" for layer, each in point.ranks.items())
        said.append(f"trial {point.number}, {point.parameters} parameters, {point.brams} block RAMs<br>{ranks}")
    x = [cycles for cycles, _ in points]
    best = np.maximum.accumulate([point.accuracy for _, point in points])
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": [percent(accuracy) for accuracy in best],
        "line": {"color": GREY, "shape": "hv", "width": 1.2},
        "hoverinfo": "skip",
    }
    marks: dict[str, Any] = {
        "size": 9,
        "color": BLUE,
        "line": {"width": [3 if str(point.number) == own else 0 for _, point in points], "color": AMBER},
    }
    trials = {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": [percent(point.accuracy) for _, point in points],
        "marker": marks,
        "text": said,
        "hovertemplate": "%{x} cycles, %{y} %<br>%{text}<extra></extra>",
    }
    dense = percent(found.dense_accuracy)
    ends = {"x0": 0, "x1": 1, "xref": "paper", "yref": "y", "y0": dense, "y1": dense}
    return Chart(
        "front",
        "The front of ranks",
        figure(
            [line, trials],
            360,
            xaxis={
                "type": "log",
                "nticks": 6,
                "title": {"text": f"cycles an inference on {plain(found.device)}"},
                "zeroline": False,
            },
            yaxis={"ticksuffix": " %", "title": {"text": "validation accuracy"}, "automargin": True, "zeroline": False},
            shapes=[{"type": "line", "line": {"color": GREY, "width": 1, "dash": "dot"}} | ends],
            annotations=[
                {
                    "xref": "paper",
                    "yref": "y",
                    "x": 1,
                    "y": dense,
                    "text": "dense",
                    "showarrow": False,
                    "yanchor": "bottom",
                    "xanchor": "right",
                }
            ],
            margin={"l": 60, "r": 16, "t": 16, "b": 48},
        ),
        "Accuracies are of the trials' short trainings; the step line is the best at no more cycles, the dotted one "
        "the dense network's. This run's trial has an amber ring, if it is one of them.",
    )
