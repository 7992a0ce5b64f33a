"""What is wrong first with runs, and the cycles in which inferences end, against the predicted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from rtl_gen.prediction import Prediction
from sim.job import Job, Outcome

__all__ = ["CycleDifference", "Fault", "first_fault", "first_late"]


class CycleDifference(BaseModel):
    """The first inference that does not end in its predicted cycle, counted from the first input of its process.

    `simulated` is None for one that never came out. `inference` is the number within the process, `sample` of all.
    """

    model_config = ConfigDict(frozen=True)

    sample: int
    inference: int
    predicted: int
    simulated: int | None

    def __str__(self) -> str:
        ended = "did not end" if self.simulated is None else f"ended in cycle {self.simulated}"
        place = "" if self.sample == self.inference else f", inference {self.inference} of its process,"
        return f"sample {self.sample}{place} {ended}, predicted is {self.predicted}, counted from the first input"


def first_late(outcomes: Sequence[tuple[Job, Outcome]]) -> CycleDifference | None:
    """The first inference that ends in another cycle than predicted; every run begins with a reset."""
    found = (_late(job, part) for job, part in outcomes)
    return min((each for each in found if each is not None), key=lambda each: each.sample, default=None)


def _late(job: Job, part: Outcome) -> CycleDifference | None:
    """The first inference of a run that ends in another cycle than predicted."""
    predicted, ends = job.manifest.predicted, part.relative_ends
    numbers: Sequence[int] = range(len(job.x))
    if job.manifest.version == 1:  # which knows of the first inference, and of the interval once all are alike
        if part.repeats(1):
            last = len(ends) - 1
            predicted = Prediction(ends=(predicted.latency, *ends[1:last]), intervals=predicted.intervals)
        else:
            numbers = range(1)
    for number in numbers:
        wanted, got = predicted.end(number), ends[number] if number < len(ends) else None
        if got != wanted:
            return CycleDifference(sample=job.first + number, inference=number, predicted=wanted, simulated=got)
    return None


class Fault(NamedTuple):
    """What is wrong first: the number of the run, what it is, and in which cycle of the run."""

    run: int
    what: str
    cycle: int


def first_fault(runs: Sequence[Job], found: Sequence[Outcome]) -> Fault | None:
    """Of the first run that is not equal, or else of the first with an inference that does not end as predicted."""
    for number, part in enumerate(found):
        if part.difference is not None and part.difference.cycle is not None:
            return Fault(number, str(part.difference), part.difference.cycle)
        if not part.equal:
            cycle = part.cycles if part.failure_cycle is None else part.failure_cycle
            return Fault(number, str(part.failure or part.difference), cycle)
    for number, (job, part) in enumerate(zip(runs, found, strict=True)):
        inference = None if job.source.stop or job.sink.stop else _late(job, part)
        if inference is not None and part.starts:
            ends = [end for end in (inference.predicted, inference.simulated) if end is not None]
            return Fault(number, str(inference), part.starts[0] + min(ends))
    return None
