"""Which sections a report has, in their order: a table of those who make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from qtt_hw.data import Splits
from qtt_hw.progress import Progress, silent
from qtt_hw.reading import read_json
from qtt_hw.report.accuracy import accuracy_sections
from qtt_hw.report.counted import Counted
from qtt_hw.report.cycles import cycles_section
from qtt_hw.report.hardware import hardware_section
from qtt_hw.report.numbers import Loss, number_sections
from qtt_hw.report.provenance import provenance_section
from qtt_hw.report.resources import resources_section
from qtt_hw.report.section import Section
from qtt_hw.report.subject import Subject
from qtt_hw.report.training import training_sections

__all__ = ["MAKERS", "SPLIT", "Wishes", "sections_of"]

#: Of the data, what accuracy is of.
SPLIT: Final = "test"


@dataclass(frozen=True)
class Wishes:
    """What is asked of a report beside its subject.

    Attributes
    ----------
    data : Splits, optional
        As `samples_of` gives it for the graph: accuracy is of its test samples, numbers of its validation samples
        where it has some.
    samples : int, optional
        Of the test samples, drawn; all without it.
    inspection : Inspection, optional
        What `qtt inspect` printed of the run with --json.
    command : str, optional
        The command line that it is made by.
    counted : Counted, optional
        What `qtt run --json` printed of a board with this design.
    """

    data: Splits | None = None
    samples: int | None = None
    inspection: Inspection | None = None
    command: str | None = None
    counted: Counted | None = None


class _Change(BaseModel):
    accuracy: float


class _Layer(BaseModel):
    layer: str
    alone: _Change
    without: _Change


class _Layers(BaseModel):
    layers: tuple[_Layer, ...]


@dataclass(frozen=True)
class Inspection:
    """Of what `qtt inspect` says, the part that is shown, and the file that it is from."""

    path: Path
    layers: tuple[_Layer, ...]

    @classmethod
    def read(cls, path: Path) -> Inspection:
        """Raises ValueError naming the file where it is none that `qtt inspect -o` wrote."""
        return cls(path, read_json(path, _Layers).layers)


def _accuracy(subject: Subject, wishes: Wishes, progress: Progress) -> Sequence[Section]:
    if wishes.data is None:
        return []
    return accuracy_sections(subject.graph, wishes.data, SPLIT, wishes.samples, progress=progress)


def _numbers(subject: Subject, wishes: Wishes, progress: Progress) -> Sequence[Section]:
    if wishes.data is None:
        return []
    inspection: list[Loss] = []
    if wishes.inspection is not None:
        found = wishes.inspection
        sources = {node.source for node in subject.graph.nodes}
        for layer in found.layers:
            if layer.layer not in sources:
                raise ValueError(f"{found.path}: layer {layer.layer}: is none of {subject.graph.name}'s")
        inspection = [(layer.layer, -layer.alone.accuracy, layer.without.accuracy) for layer in found.layers]
    samples = wishes.data.validation if len(wishes.data.validation) else wishes.data[SPLIT]
    return number_sections(subject.graph, samples, prepared=subject.prepared, inspection=inspection, progress=progress)


def _training(subject: Subject, wishes: Wishes, progress: Progress) -> Sequence[Section]:
    return training_sections(subject.path if subject.kind == "run" else None)


#: Each makes none, one or several of the sections of a subject.
MAKERS: tuple[Callable[[Subject, Wishes, Progress], Sequence[Section]], ...] = (
    lambda subject, wishes, progress: [hardware_section(subject)],
    lambda subject, wishes, progress: [cycles_section(subject, wishes.counted)],
    lambda subject, wishes, progress: [resources_section(subject)],
    _accuracy,
    _numbers,
    _training,
    lambda subject, wishes, progress: [provenance_section(subject, wishes.command)],
)


def sections_of(subject: Subject, wishes: Wishes = Wishes(), progress: Progress = silent) -> list[Section]:  # noqa: B008 - immutable
    """All sections of a subject."""
    return [section for make in MAKERS for section in make(subject, wishes, progress)]
