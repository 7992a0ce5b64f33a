"""The report of a model, a BUILD or a run, written as one file: `qtt report`, as a Python function."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from qtt_hw.data import Splits
from qtt_hw.evaluation import samples_of
from qtt_hw.files import write_file
from qtt_hw.progress import Progress, silent
from qtt_hw.report.counted import Counted
from qtt_hw.report.page import MARK, Fact, page, plotly_script
from qtt_hw.report.section import Chart, Grid, Section
from qtt_hw.report.sections import SPLIT, Inspection, Wishes, sections_of
from qtt_hw.report.subject import Subject, subject_of
from qtt_hw.report.texts import count, mean_cycles, share

__all__ = ["PartResult", "ReportResult", "SectionResult", "is_report", "report", "written"]


class PartResult(BaseModel):
    """A figure, table or drawing of a section; `kind` is "chart", "table" or "drawing"."""

    model_config = ConfigDict(frozen=True)

    key: str
    title: str
    kind: str


class SectionResult(BaseModel):
    """A section of the page, by its anchor."""

    model_config = ConfigDict(frozen=True)

    key: str
    title: str
    parts: tuple[PartResult, ...]


class ReportResult(BaseModel):
    """The file that was written, and what is in it.

    Attributes
    ----------
    report : str
        Path.
    bytes : int
        Its size.
    model, digest : str
        The network's name, and that of its integers.
    sections : tuple of SectionResult
    seconds : float
    """

    model_config = ConfigDict(frozen=True)

    report: str
    bytes: int
    model: str
    digest: str
    sections: tuple[SectionResult, ...]
    seconds: float


def report(
    source: str | Path,
    output: str | Path,
    *,
    device: str | None = None,
    fps: float | None = None,
    clock_mhz: float | None = None,
    plan: str | Path | None = None,
    neighbours: bool = True,
    data: Splits | str | Path | None = None,
    samples: int | None = None,
    inspection: str | Path | None = None,
    run: str | Path | None = None,
    progress: Progress = silent,
) -> ReportResult:
    """Write one self-contained HTML file about a network as hardware: its units, cycles, resources and provenance.

    It opens in any browser and asks no network for anything. Figures are Plotly's.

    Parameters
    ----------
    source : path
        A model.qtt, a BUILD folder that `emit` wrote, or the folder of a finished run of `train`, whose integer model
        is frozen for the report.
    output : path
        The file; it is written in one step.
    device : str, optional
        As of `plan`, ecp5-85f where none is named; a BUILD has its own.
    fps, clock_mhz : float, optional
        As of `plan`, 100 MHz unless given; a BUILD and a plan have their own.
    plan : path, optional
        A plan of the model, in place of one that is made for the report.
    neighbours : bool
        Look for the plans beside this one and for what fewer bits would save, which takes about as long as planning.
    data : Splits or a source that `qtt_hw.data.load` knows, optional
        For accuracy and numbers: what the model makes of the test samples, and every stage's values.
    samples : int, optional
        Of the test samples; all unless given.
    inspection : path, optional
        What `qtt inspect --json` printed of the run: which layer costs the accuracy. With data.
    run : path, optional
        What `qtt run --json` printed of a board with this design: counted cycles beside predicted ones.
    progress : callable, optional
        Called with one line of text now and then.

    Returns
    -------
    ReportResult
        With `bytes`, and `sections`: the key and title of each, and of its `parts`.

    Raises
    ------
    ValueError
        One line that names the path or the option: there is no such model, the plan is of another one, it does not fit
        the device, or plotly is not installed.

    Examples
    --------
    >>> import qtt_hw
    >>> found = qtt_hw.report("models/lenet-mnist.qtt", "lenet.html", fps=1000, neighbours=False)
    >>> [section.key for section in found.sections]
    ['hardware', 'cycles', 'resources', 'provenance']
    >>> [part.key for part in found.sections[1].parts]
    ['timeline', 'occupancy', 'stages']
    >>> found.bytes < 8_000_000
    True
    >>> qtt_hw.report("models", "models.html")
    Traceback (most recent call last):
        ...
    ValueError: models: is neither a BUILD that qtt emit wrote nor a run of qtt train
    """
    started = time.monotonic()
    plotly_script()  # where it is missing, that is said before anything takes its time
    for name, value in (("samples", samples), ("inspection", inspection)):
        if data is None and value is not None:
            raise ValueError(f"{name} {value}: is for the sections that are made from data; name the data too")
    inspected = None if inspection is None else Inspection.read(Path(inspection))
    counted = None if run is None else Counted.read(Path(run))
    subject = subject_of(
        source, device=device, fps=fps, clock_mhz=clock_mhz, plan=plan, neighbours=neighbours, progress=progress
    )
    splits = None if data is None else samples_of(subject.graph, data, SPLIT)
    return written(
        subject,
        Path(output),
        Wishes(splits, samples, inspected, counted=counted),
        started=started,
        progress=progress,
    )


def written(
    subject: Subject, output: Path, wishes: Wishes, *, started: float, progress: Progress = silent
) -> ReportResult:
    """The report of a subject that has been read and planned; `started` is when that began, by the monotonic clock."""
    progress("page", text="sections")
    sections = sections_of(subject, wishes, progress)
    text = page(subject.graph.name, _made(subject), _lead(subject), _facts(subject), sections)
    write_file(output, text)
    return ReportResult(
        report=str(output),
        bytes=len(text.encode()),
        model=subject.graph.name,
        digest=subject.digest,
        sections=tuple(_described(section) for section in sections),
        seconds=round(time.monotonic() - started, 1),
    )


def is_report(path: Path) -> bool:
    """Whether a file begins as a report does."""
    with path.open("rb") as stream:
        return stream.read(len(MARK)) == MARK.encode()


def _described(section: Section) -> SectionResult:
    kinds = {Chart: "chart", Grid: "table"}
    parts = (PartResult(key=p.key, title=p.title, kind=kinds.get(type(p), "drawing")) for p in section.parts)
    return SectionResult(key=section.key, title=section.title, parts=tuple(parts))


def _made(subject: Subject) -> str:
    kind = {"model": "Model", "build": "BUILD", "run": "Run"}[subject.kind]
    return f"{kind} {subject.path} on {subject.device.name}"


def _lead(subject: Subject) -> str:
    labels: Sequence[str] = subject.graph.labels
    classes = f"{subject.classes} classes" + (f": {', '.join(labels[:12])}" if labels else "")
    more = ", ..." if len(labels) > 12 else ""
    return f"{classes}{more}."


def _facts(subject: Subject) -> list[Fact]:
    plan, device = subject.plan, subject.device
    facts = [
        (count(plan.frames_per_second), f"inferences a second at {plan.clock_mhz:g} MHz"),
        (mean_cycles(plan.cycles), "cycles an inference"),
        (f"{count(plan.latency / (1e3 * plan.clock_mhz), 2)} ms", "latency of the first"),
        (share(subject.explanation.occupancy), f"of {count(subject.explanation.lanes)} lanes occupied"),
    ]
    for name, title in (("dsps", "multipliers"), ("brams", "block RAMs"), ("luts", "LUTs")):
        taken, there = getattr(plan, name), getattr(device, name)
        facts.append((count(taken), f"{title}, {share(taken / there)} of the device" if there else title))
    for placed in subject.placed:
        facts.append((f"{count(placed.result.fmax_mhz, 1)} MHz", f"placed on {placed.result.board}"))
    facts.append((f"{count(subject.graph.weight_bytes / 1000, 1)} kB", "of weights and scales"))
    return facts
