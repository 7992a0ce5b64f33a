"""Mistakes drawn: which, in what form, small, and with nothing of a file's names but their text."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest

from qtt_hw.report import mistakes
from qtt_hw.report.confusion import Outcome
from qtt_hw.report.mistakes import MOST, chosen, parts
from qtt_hw.report.section import Chart, Grid, Markup, Section
from tests.figures import check


def outcome(samples: int, labels: tuple[str, str] = ("a", "b")) -> Outcome:
    """Every second sample is wrong, by a margin of its number."""
    number = np.arange(samples)
    return Outcome(labels, number % 2, np.stack([number + 1.0, np.zeros(samples)], axis=1))


def pictures(markup: Markup) -> list[np.ndarray]:
    image = pytest.importorskip("PIL.Image")
    found = re.findall(r'src="data:image/png;base64,([^"]*)"', markup.html)
    return [np.asarray(image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def test_the_greatest_margins_are_chosen() -> None:
    assert chosen(outcome(9)).tolist() == [7, 5, 3, 1]
    assert len(chosen(outcome(99))) == MOST
    assert (
        parts(Outcome(("a",), np.zeros(3, int), np.zeros((3, 1))), np.zeros((3, 1, 2, 2, 1), np.uint8), [0, 1, 2]) == []
    )


def test_solids_are_drawn_in_3d_and_at_a_glance() -> None:
    x = np.zeros((8, 6, 7, 8, 1), np.uint8)
    x[:, 1:3, 2:5, 3:7] = 1
    x[7] = 0  # nothing can be seen of it
    chart, gallery, table = parts(outcome(8), x, range(100, 108))
    assert isinstance(chart, Chart) and isinstance(gallery, Markup) and isinstance(table, Grid)
    check([Section("s", "S", "t.", [chart, gallery, table])])
    assert [trace["visible"] for trace in chart.figure["data"]] == [True, False, False]
    steps = chart.figure["layout"]["sliders"][0]["steps"]
    assert [step["label"] for step in steps][0] == "105: b, taken for a, margin 6.00"
    assert steps[1]["args"] == [{"visible": [False, True, False]}]
    assert table.rows[0] == (107, "b", "a", 8.0)
    seen = pictures(gallery)
    assert len(seen) == 4 and not seen[0][..., 3].any()
    assert seen[1].shape == (8 + 2, 6 + 2, 4)  # W and D, and six planes behind the first
    assert (seen[1][..., 3] > 0).sum() > 4 * 2


def test_large_solids_are_as_many_as_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mistakes, "MESH_BUDGET", 30_000)
    x = (np.random.default_rng(0).random((20, 8, 8, 8, 1)) < 0.5).astype(np.uint8)
    chart = parts(outcome(20), x, range(20))[0]
    assert isinstance(chart, Chart)
    drawn = chart.figure["data"]
    assert 1 <= len(drawn) < 10 and f"The first {len(drawn)} of 10, which have many faces." in chart.note
    assert len(chart.figure["layout"]["sliders"][0]["steps"]) == len(drawn)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 5, 6, 3), (5, 6, 3)),
        ((1, 5, 6, 1), (5, 6)),
        ((9, 5, 6, 3), (5, 36, 3)),
        ((2, 5, 6, 2), (5, 12)),
        ((1, 400, 300, 1), (134, 100)),
    ],
)
def test_images_and_clips(shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    gallery, table = parts(outcome(4), x, range(4))
    assert isinstance(gallery, Markup) and isinstance(table, Grid)
    first = pictures(gallery)[0]
    assert first.shape == size
    if shape == (9, 5, 6, 3):
        assert np.array_equal(first[:, :6], x[3, 0]) and np.array_equal(first[:, -6:], x[3, 8])


def test_vectors_are_listed() -> None:
    (table,) = parts(outcome(4), np.ones((4, 1, 1, 1, 9), np.uint8), range(4))
    assert isinstance(table, Grid) and len(table.rows) == 2


def test_names_of_files_are_no_markup() -> None:
    hostile = ('<img src=x onerror="alert(1)">', "b&</figcaption><script>")
    x = np.ones((2, 3, 3, 3, 1), np.uint8)
    chart, gallery, _ = parts(outcome(2, hostile), x, range(2))
    assert isinstance(gallery, Markup) and isinstance(chart, Chart)
    assert (
        gallery.html.count("<img ") == 1 and "<script" not in gallery.html and "&lt;img src=x onerror=" in gallery.html
    )
    assert "<" not in chart.figure["layout"]["sliders"][0]["steps"][0]["label"]
