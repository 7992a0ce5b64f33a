"""What a board counted, beside what was predicted: a table of what `qtt run --json` printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from qtt_hw.reading import read_json
from qtt_hw.report.section import Grid
from qtt_hw.report.subject import Subject
from qtt_hw.report.texts import Row, count, mean_cycles
from rtl_gen.prediction import Mean, Prediction

__all__ = ["Counted", "counted_grid"]


class _Run(BaseModel):
    """Of what `qtt run` says, the part that is shown."""

    equal: bool
    samples: int = Field(ge=0)
    latency: int
    cycles: Mean | None
    predicted: Prediction
    clock_mhz: float
    frames_per_second: float | None
    samples_per_second: float
    frames: int
    repeated: int
    broken: int


@dataclass(frozen=True)
class Counted:
    """What a board counted, and the file that it is from."""

    path: Path
    run: _Run

    @classmethod
    def read(cls, path: Path) -> Counted:
        """Raises ValueError naming the file where it is none that `qtt run --json` printed."""
        return cls(path, read_json(path, _Run))


def counted_grid(subject: Subject, counted: Counted) -> Grid:
    """Counted and predicted cycles of a board, its answers, and what the line did.

    Raises ValueError naming the file where its board had another design.
    """
    run, plan = counted.run, subject.plan
    predicted = mean_cycles(plan.cycles)
    if run.predicted != plan.predicted:
        raise ValueError(
            f"{counted.path}: is of another design: of that one {mean_cycles(run.predicted.mean)} cycles an inference "
            f"are predicted, of {subject.path} {predicted}"
        )
    rate = "-" if run.frames_per_second is None else _rate(run.frames_per_second, run.clock_mhz)
    rows: list[Row] = [
        ["cycles an inference, back to back", "-" if run.cycles is None else mean_cycles(run.cycles), predicted],
        ["cycles from the first input to the last output", count(run.latency), count(plan.latency)],
        ["inferences a second of the accelerator", rate, _rate(plan.frames_per_second, plan.clock_mhz)],
        ["samples a second over the line", count(run.samples_per_second, 2), ""],
        ["answers", f"{count(run.samples)}, {'all' if run.equal else 'not all'} those of the integer model", ""],
        ["frames sent; of them again; answers that came broken", f"{run.frames}; {run.repeated}; {run.broken}", ""],
    ]
    note = "Back to back is one sample fed again and again, where the board's buffer holds a whole one."
    return Grid("counted", "What the board counted", ["", "counted", "predicted"], rows, note)


def _rate(frames: float, clock_mhz: float) -> str:
    return f"{count(frames, 1)} at {clock_mhz:g} MHz"
