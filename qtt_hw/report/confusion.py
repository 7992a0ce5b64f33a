"""What is taken for what: the confusion matrix, accuracy by class with its uncertainty, and how sure the network is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import IntArray
from qtt_hw.report.look import (
    BLUE,
    FADING_AMBER,
    FADING_BLUE,
    GREY,
    figure,
    plain,
    rounded,
    rows_axis,
    rows_height,
)
from qtt_hw.report.section import Chart, Grid

__all__ = ["Outcome", "interval", "of_classes", "of_confidence", "of_confusion", "of_pairs", "percent"]

#: Classes up to which every cell of the matrix has its count, and above which only the worst are listed.
COUNTED, LISTED = 20, 24
#: Pairs that are listed, and bins of confidence.
PAIRS, BINS = 10, 10


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a network made of some samples.

    Parameters
    ----------
    labels : sequence of str
    y : int64 array, [N]
        True classes.
    logits : float array, [N, classes]
        Values, not integers.
    """

    labels: Sequence[str]
    y: NDArray[np.int64]
    logits: NDArray[np.float64]

    @cached_property
    def predicted(self) -> IntArray:
        """The class of the greatest logit, the lowest index in a tie."""
        return np.asarray(self.logits.argmax(axis=1))

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """The softmax of the class that is predicted."""
        return np.asarray(1 / np.exp(self.logits - self.logits.max(axis=1, keepdims=True)).sum(axis=1))

    @cached_property
    def margin(self) -> NDArray[np.float64]:
        """The predicted class's logit less the greatest other one; where it is wrong, less the true class's."""
        others = self.logits.copy()
        rows = np.arange(len(others))
        others[rows, self.predicted] = -np.inf
        second = np.where(self.right, others.max(axis=1), self.logits[rows, self.y])
        return np.asarray(self.logits.max(axis=1) - second)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.predicted == self.y)

    @cached_property
    def matrix(self) -> IntArray:
        """How many samples of each true class, by row, were put into each class, by column."""
        classes = len(self.labels)
        return np.bincount(self.y * classes + self.predicted, minlength=classes**2).reshape(classes, classes)


def interval(hits: int, of: int, sigmas: float = 1.96) -> tuple[float, float]:
    """Between which shares the true one lies with 95 % confidence, by Wilson, when `hits` of a sample of `of` were."""
    if not of:
        return 0.0, 1.0
    share, z = hits / of, sigmas**2 / of
    middle, half = share + z / 2, sigmas * math.sqrt(share * (1 - share) / of + z / of / 4)
    return max((middle - half) / (1 + z), 0.0), min((middle + half) / (1 + z), 1.0)


def percent(share: float) -> float:
    """A share in percent, to a tenth."""
    return round(100 * share, 1)


def of_confusion(found: Outcome) -> Chart:
    """The matrix: what is right in one colour, what is wrong in another, each by its share of the true class."""
    matrix, labels = found.matrix, [plain(label, 20) for label in found.labels]
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    on = np.eye(len(labels), dtype=bool)
    cells = [[int(n) for n in row] for row in matrix]
    totals = matrix.sum(axis=1).tolist()

    def cell(i: int, j: int) -> str:
        what = "right" if i == j else f"taken for {labels[j]}"
        return f"{labels[i]}: {cells[i][j]} of {totals[i]} {what}"

    said = [[cell(i, j) for j in range(len(labels))] for i in range(len(labels))]
    names = list(range(len(labels)))

    def heat(mask: NDArray, colours: list[list[object]], top: float) -> dict[str, object]:
        z = [
            [round(float(v), 4) if m and v else None for v, m in zip(*row, strict=True)]
            for row in zip(share, mask, strict=True)
        ]
        return {
            "type": "heatmap",
            "x": names,
            "y": names,
            "z": z,
            "zmin": 0,
            "zmax": max(top, 1e-9),
            "colorscale": colours,
            "showscale": False,
            "xgap": 1,
            "ygap": 1,
            "text": said,
            "hovertemplate": "%{text}<extra></extra>",
        }

    wrong = share[~on]
    data: list[dict[str, object]] = [
        heat(on, FADING_BLUE, 1.0),
        heat(~on, FADING_AMBER, float(wrong.max()) if wrong.size else 0.0),
    ]
    if len(labels) <= COUNTED:
        some = [(i, j) for i in names for j in names if cells[i][j]]
        data.append(
            {
                "type": "scatter",
                "mode": "text",
                "x": [j for _, j in some],
                "y": [i for i, _ in some],
                "text": [str(cells[i][j]) for i, j in some],
                "textfont": {"size": 11},
                "hoverinfo": "skip",
            }
        )
    columns = rows_axis(found.labels) | {
        "range": [-0.5, len(labels) - 0.5],
        "tickangle": -45,
        "title": {"text": "taken for"},
    }
    rows = rows_axis(found.labels)
    if len(labels) > 2 * COUNTED:  # names would lie on each other
        step = -(-len(labels) // COUNTED)
        for axis in (columns, rows):
            axis["tickvals"], axis["ticktext"] = axis["tickvals"][::step], axis["ticktext"][::step]
    height = min(max(150 + 32 * len(labels), 260), 640)
    return Chart(
        "confusion",
        "What is taken for what",
        figure(data, height, xaxis=columns, yaxis=rows, margin={"l": 60, "r": 12, "t": 12, "b": 60}),
        "A row holds the samples of one true class. Blue is right; amber is wrong, the darker the more of its class.",
    )


def _whiskers(shares: Sequence[float], ends: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Plotly's error bars from each share to the ends of its interval."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [percent(high - share) for share, (_, high) in zip(shares, ends, strict=True)],
        "arrayminus": [percent(share - low) for share, (low, _) in zip(shares, ends, strict=True)],
        "color": GREY,
        "thickness": 1.2,
        "width": 3,
    }


def of_classes(found: Outcome) -> Chart:
    """Accuracy by class, the worst first where there are many."""
    totals = found.matrix.sum(axis=1)
    known = [i for i in range(len(found.labels)) if totals[i]]
    hits = {i: int(found.matrix[i, i]) for i in known}
    known.sort(key=lambda i: (hits[i] / totals[i], i))
    shown = known[:LISTED]
    shares = [hits[i] / int(totals[i]) for i in shown]
    ends = [interval(hits[i], int(totals[i])) for i in shown]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(shown))),
        "x": [percent(share) for share in shares],
        "marker": {"color": BLUE},
        "error_x": _whiskers(shares, ends),
        "text": [f"{plain(found.labels[i])}: {hits[i]} of {totals[i]} right" for i in shown],
        "textposition": "none",
        "hovertemplate": "%{text}, %{x} %<extra></extra>",
    }
    note = "The worst first. Whiskers span what the share of all such samples is, with 95 % confidence."
    if len(shown) < len(known):
        note = f"The {len(shown)} worst of {len(known)} classes. " + note.partition(". ")[2]
    return Chart(
        "classes",
        "Accuracy by class",
        figure(
            [bars],
            rows_height(len(shown)),
            xaxis={"range": [0, 101], "dtick": 20, "ticksuffix": " %", "zeroline": False},
            margin={"l": 52, "r": 24, "t": 8, "b": 32},
            yaxis=rows_axis(found.labels[i] for i in shown),
        ),
        note,
    )


def of_confidence(found: Outcome) -> Chart:
    """Of the samples about which the network was as sure, how many were right."""
    bins = np.minimum((found.confidence * BINS).astype(int), BINS - 1)
    held = [k for k in range(BINS) if (bins == k).any()]
    counts = [int((bins == k).sum()) for k in held]
    hits = [int(found.right[bins == k].sum()) for k in held]
    sure = [float(found.confidence[bins == k].mean()) for k in held]
    ends = [interval(hit, n) for hit, n in zip(hits, counts, strict=True)]
    shares = [hit / n for hit, n in zip(hits, counts, strict=True)]
    apart = sum(n * abs(share - said) for n, share, said in zip(counts, shares, sure, strict=True)) / max(len(bins), 1)
    data: list[dict[str, object]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 100],
            "y": [0, 100],
            "line": {"color": GREY, "width": 1, "dash": "dot"},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": [percent(said) for said in sure],
            "y": [percent(share) for share in shares],
            "cliponaxis": False,
            "marker": {
                "color": BLUE,
                "opacity": 0.9,
                "size": rounded((7 + 21 * math.sqrt(n / max(counts)) for n in counts), 3),
                "line": {"width": 0},
            },
            "error_y": _whiskers(shares, ends),
            "text": [f"{hit} of {n} right" for hit, n in zip(hits, counts, strict=True)],
            "hovertemplate": "%{x} % sure: %{text}, %{y} %<extra></extra>",
        },
    ]
    least = max(min(10 * math.floor(10 * min([*sure, *(low for low, _ in ends)])) - 3, 80), -3)
    axis = {"ticksuffix": " %", "range": [least, 103], "zeroline": False}
    return Chart(
        "confidence",
        "How sure it is, and how often right",
        figure(
            data,
            300,
            xaxis=axis | {"title": {"text": "confidence: softmax of the class it names"}},
            yaxis=axis | {"title": {"text": "right"}, "automargin": True},
            margin={"l": 64, "r": 12, "t": 12, "b": 48},
        ),
        "Circles by confidence, large where there are many samples. On the dotted line a network is as often right as "
        f"it is sure; above it too modest, below it too sure. On average they are {percent(apart)} points apart.",
    )


def of_pairs(found: Outcome) -> Grid:
    """The classes that are taken for another most often, with how sure that finding is."""
    matrix = found.matrix
    totals = matrix.sum(axis=1)
    wrong = [
        (int(matrix[i, j]), i, j) for i in range(len(matrix)) for j in range(len(matrix)) if i != j and matrix[i, j]
    ]
    wrong.sort(key=lambda each: (-each[0], each[1:]))
    several = [each for each in wrong if each[0] > 1]  # those of one sample are many, and say little
    rows = []
    for n, i, j in (several or wrong)[:PAIRS]:
        low, high = interval(n, int(totals[i]))
        span = f"{percent(low)} to {percent(high)} %"
        rows.append(
            (found.labels[i], found.labels[j], n, int(totals[i]), f"{100 * n / totals[i]:.1f}", span, int(matrix[j, i]))
        )
    return Grid(
        "pairs",
        "Most often confused",
        ("class", "taken for", "samples", "of", "%", "with 95 % confidence", "the other way"),
        rows,
        "Pairs whose spans overlap widely may come in another order on other samples.",
    )
