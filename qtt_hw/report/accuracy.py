"""The report's sections on accuracy: what a model makes of a data set, and the samples that it gets wrong."""

from __future__ import annotations

import numpy as np

from qtt_hw.data import Splits
from qtt_hw.evaluation import logits
from qtt_hw.fixedpoint import IntArray
from qtt_hw.graph import Graph
from qtt_hw.progress import Progress, silent
from qtt_hw.report import mistakes
from qtt_hw.report.confusion import Outcome, interval, of_classes, of_confidence, of_confusion, of_pairs, percent
from qtt_hw.report.section import Part, Section

__all__ = ["accuracy_sections", "drawn"]


def drawn(of: int, count: int | None) -> IntArray:
    """The numbers of so many samples of a set, ascending: always the same ones, and all that fewer would be."""
    everything = np.arange(of)
    if count is None or count >= of:
        return everything
    if count < 1:
        raise ValueError(f"samples: at least 1 is needed, got {count}")
    return np.sort(np.random.default_rng(0).permutation(everything)[:count])


def accuracy_sections(
    graph: Graph, data: Splits, split: str = "test", samples: int | None = None, *, progress: Progress = silent
) -> list[Section]:
    """What is right and what is taken for what, and the mistakes drawn, of the golden model on a split.

    Parameters
    ----------
    graph : Graph
    data : Splits
        As `evaluation.samples_of` gives it for the graph and the split.
    split : str
    samples : int, optional
        Of the split, drawn without preference; without it, all.
    progress : Progress
        Told of the samples that are done.
    """
    numbers = drawn(len(data[split]), samples)
    part = data[split].take(numbers)
    found = Outcome(graph.labels or data.labels, part.y, _values(graph, part.x, progress))
    right = int(found.right.sum())
    low, high = interval(right, len(part))
    whole = "" if len(part) == len(data[split]) else f" (drawn of its {len(data[split])})"
    text = (
        f"The integer model puts {right} of {len(part)} {split} samples of {data.name}{whole} into their "
        f"class: {percent(right / len(part))} %. Of all such samples it is between {percent(low)} and "
        f"{percent(high)} % with 95 % confidence."
    )
    pairs: list[Part] = [of_pairs(found)] if right < len(part) else []
    accuracy = Section(
        "accuracy", "Accuracy", text, [of_confusion(found), *pairs, of_classes(found), of_confidence(found)]
    )
    shown = mistakes.parts(found, part.x, numbers.tolist())
    if not shown:
        return [accuracy]
    wrong = len(part) - right
    text = f"{wrong} samples are put into a wrong class" if wrong > 1 else "One sample is put into a wrong class"
    text += f"; the {mistakes.MOST} with the greatest margin are shown." if wrong > mistakes.MOST else "."
    return [accuracy, Section("mistakes", "What it gets wrong", text, shown)]


def _values(graph: Graph, x: np.ndarray, progress: Progress) -> np.ndarray:
    """The logits as values."""
    return logits(graph, x, progress=progress) * 2.0**-graph.output.format.frac
