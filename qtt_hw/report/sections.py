"""Which sections a report has, in their order: a table of those who make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qtt_hw.progress import Progress, silent
from qtt_hw.report.cycles import cycles_section
from qtt_hw.report.hardware import hardware_section
from qtt_hw.report.provenance import provenance_section
from qtt_hw.report.resources import resources_section
from qtt_hw.report.section import Section
from qtt_hw.report.subject import Subject

__all__ = ["MAKERS", "Wishes", "sections_of"]


@dataclass(frozen=True)
class Wishes:
    """What is asked of a report beside its subject.

    Attributes
    ----------
    command : str, optional
        The command line that it is made by.
    """

    command: str | None = None


#: Each makes none, one or several of the sections of a subject.
MAKERS: tuple[Callable[[Subject, Wishes, Progress], Sequence[Section]], ...] = (
    lambda subject, wishes, progress: [hardware_section(subject)],
    lambda subject, wishes, progress: [cycles_section(subject)],
    lambda subject, wishes, progress: [resources_section(subject)],
    lambda subject, wishes, progress: [provenance_section(subject, wishes.command)],
)


def sections_of(subject: Subject, wishes: Wishes = Wishes(), progress: Progress = silent) -> list[Section]:  # noqa: B008 - immutable
    """All sections of a subject."""
    return [section for make in MAKERS for section in make(subject, wishes, progress)]
