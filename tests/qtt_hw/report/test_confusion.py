"""Confusion matrix, intervals, confidence and pairs against what they are by hand."""

from __future__ import annotations

import numpy as np
import pytest

from qtt_hw.report.confusion import Outcome, interval, of_classes, of_confidence, of_confusion, of_pairs
from qtt_hw.report.section import Section
from tests.figures import check

#: Three classes; a is always right, b is taken for c twice, c for a once. The last sample is a tie of b and c.
Y = np.array([0, 0, 1, 1, 1, 2, 2, 1])
LOGITS = np.array([[3, 0, 0], [2, 1, 0], [0, 1, 3], [0, 0, 5], [0, 4, 0], [2, 0, 1], [0, 0, 1], [0, 2, 2]], float)
FOUND = Outcome(("a", "b", "c"), Y, LOGITS)


def test_the_matrix_counts_true_by_predicted() -> None:
    assert FOUND.matrix.tolist() == [[2, 0, 0], [0, 2, 2], [1, 0, 1]]
    assert FOUND.predicted[-1] == 1  # the lowest in a tie
    assert FOUND.margin.tolist() == [3, 1, 2, 5, 4, 1, 1, 0]  # of a wrong one above the true class, else the next
    assert FOUND.confidence == pytest.approx((np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)).max(1))
    chart = of_confusion(FOUND)
    right, wrong, counts = chart.figure["data"]
    assert right["z"] == [[1.0, None, None], [None, 0.5, None], [None, None, 0.5]]
    assert wrong["z"] == [[None, None, None], [None, None, 0.5], [0.5, None, None]]
    assert right["text"][1][2] == "b: 2 of 4 taken for c"
    assert dict(zip(zip(counts["y"], counts["x"], strict=True), counts["text"], strict=True)) == {
        (0, 0): "2", (1, 1): "2", (1, 2): "2", (2, 0): "1", (2, 2): "1",
    }  # fmt: skip


def test_intervals_are_wilsons() -> None:
    assert interval(0, 0) == (0.0, 1.0)
    low, high = interval(90, 100)
    assert (round(low, 4), round(high, 4)) == (0.8256, 0.9448)
    assert (
        interval(0, 10)[0] == 0 and interval(10, 10)[1] == 1 and interval(10, 10)[0] == pytest.approx(0.7225, abs=1e-4)
    )


def test_pairs_by_number_with_the_other_way() -> None:
    assert of_pairs(FOUND).rows == [("b", "c", 2, 4, "50.0", "15.0 to 85.0 %", 0)]  # that of one sample is left out
    single = Outcome(("a", "b"), np.array([0, 1, 1]), np.array([[0, 1], [1, 0], [0, 1]], float))
    assert [row[:4] for row in of_pairs(single).rows] == [("a", "b", 1, 1), ("b", "a", 1, 2)]


def test_classes_come_worst_first_with_their_uncertainty() -> None:
    bars = of_classes(FOUND).figure["data"][0]
    assert bars["x"] == [50.0, 50.0, 100.0]
    assert bars["text"] == ["b: 2 of 4 right", "c: 1 of 2 right", "a: 2 of 2 right"]
    assert bars["error_x"]["array"][0] == bars["error_x"]["arrayminus"][0] == 35.0


def test_confidence_by_bins() -> None:
    sure = Outcome(("a", "b"), np.array([0, 0, 0, 1]), np.log(np.array([[0.95, 0.05]] * 4)))
    chart = of_confidence(sure)
    assert chart.figure["data"][1]["x"] == [95.0] and chart.figure["data"][1]["y"] == [75.0]
    assert "20.0 points apart" in chart.note


@pytest.mark.parametrize("classes", [2, 30, 101])
def test_figures_of_any_number_of_classes(classes: int) -> None:
    draw = np.random.default_rng(classes)
    labels = [f"<b>class</b> {i}\n" + "x" * 60 for i in range(classes)]
    found = Outcome(labels, draw.integers(0, classes, 300), draw.normal(size=(300, classes)))
    parts = [of_confusion(found), of_classes(found), of_confidence(found), of_pairs(found)]
    check([Section("s", "S", "t.", parts)])
    text = str([part.figure for part in parts[:3]])  # type: ignore[union-attr]
    assert "<b>" not in text and "&lt;b&gt;class" in text
    assert len(parts[1].figure["data"][0]["x"]) <= 24  # type: ignore[union-attr]
    assert len(parts[0].figure["layout"]["xaxis"]["ticktext"]) <= 40  # type: ignore[union-attr]
