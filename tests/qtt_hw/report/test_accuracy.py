"""The sections on accuracy: which samples, what the text says, and what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qtt_hw
from qtt_hw.data import Samples, Splits
from qtt_hw.report.accuracy import accuracy_sections, drawn
from tests.figures import charts, check

MODELS = Path(__file__).parents[3] / "models"


def test_the_same_samples_are_drawn_and_more_hold_the_fewer() -> None:
    assert drawn(5, None).tolist() == drawn(5, 9).tolist() == [0, 1, 2, 3, 4]
    few, many = drawn(1000, 10), drawn(1000, 300)
    assert len(set(few)) == 10 and set(few) <= set(many) and (np.diff(few) > 0).all()
    with pytest.raises(ValueError, match="samples: at least 1 is needed, got 0"):
        drawn(5, 0)


def images(graph: qtt_hw.Graph, y: np.ndarray) -> Splits:
    x = np.random.default_rng(0).integers(0, 256, (len(y), *graph.input.sample_shape), dtype=np.uint8)
    samples = Samples(x, y)
    return Splits(samples, samples, samples, graph.labels, "noise")


def test_the_sections_say_what_is_right_and_draw_what_is_wrong() -> None:
    graph = qtt_hw.load(MODELS / "lenet-mnist.qtt")
    data = images(graph, np.arange(40) % 10)
    told: list[tuple[object, ...]] = []
    sections = accuracy_sections(graph, data, samples=30, progress=lambda *report: told.append(report))
    check(sections)
    accuracy, wrong = sections
    part = data.test.take(drawn(40, 30))
    right = int(
        (qtt_hw.run(graph, qtt_hw.preprocess(graph.input, part.x))["linear2"].reshape(30, 10).argmax(1) == part.y).sum()
    )
    assert f"{right} of 30 test samples of noise (drawn of its 40)" in accuracy.text and told[-1] == ("eval", 30, 30)
    assert f"{30 - right} samples are put into a wrong class" in wrong.text
    assert {"confusion", "classes", "confidence"} == set(charts(sections))
    assert [part.key for part in accuracy.parts] == ["confusion", "pairs", "classes", "confidence"]


def test_without_a_mistake_there_is_one_section() -> None:
    graph = qtt_hw.load(MODELS / "lenet-mnist.qtt")
    data = images(graph, np.zeros(6, np.int64))
    found = qtt_hw.run(graph, qtt_hw.preprocess(graph.input, data.test.x))["linear2"].reshape(6, 10).argmax(1)
    sections = accuracy_sections(graph, images(graph, found))
    check(sections)
    (only,) = sections
    assert "6 of 6 test samples of noise into" in only.text and "100.0 %" in only.text
