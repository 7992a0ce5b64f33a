"""The order in which an engine works off its stages' jobs: the same for every inference, fixed when it is generated.

Nothing in an engine depends on values, so no arbiter chooses between stages at run time. One rule makes the order here:

    Of the stages whose next job finds its inputs made by jobs before it, and room in the rings for what it makes, the
    one goes next that can start first; of several, the one nearest to the output.

The ring that the stream fills counts as any other: where several stages read it, the one that is ahead waits for room.
A job that starts before what it reads has left the pipeline would read what was there before; `Program.depth` says, for
each job, how many of those issued before it may still be in the pipeline. An inference's jobs all come before the next
one's: a frame's end never waits for a frame that may not come. A fixed order cannot deadlock by timing, and makes no
event earlier when another is later, which FIFOs' depths rely on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from rtl_gen.engine.jobs import Job, Work

__all__ = ["OUTSIDE", "Program", "Read", "schedule"]

#: The source of what comes by the engine's stream.
OUTSIDE = -1


@dataclass(frozen=True)
class Read:
    """What a stage reads, and the rows that the ring between holds.

    Attributes
    ----------
    source : int
        A stage of the engine before it, or `OUTSIDE`.
    rows : int
    summand : bool
        It is added to the stage's results, position by position, instead of being contracted.
    """

    source: int
    rows: int
    summand: bool = False

    def end(self, job: Job) -> int:
        """The position after the last that a job reads."""
        return job.last if self.summand else job.end

    def keeps(self, job: Job, width: int) -> int:
        """The first row that is still read after a job, of rows of `width` positions."""
        return job.last // width if self.summand else job.keeps


@dataclass(frozen=True)
class Program:
    """An engine's jobs of one inference, in order.

    Attributes
    ----------
    jobs : tuple of Job
    stages : tuple of int
        Of each job, by number.
    depth : tuple of int
        Jobs before each that may be in the pipeline when it starts; all that were issued, where nothing it reads is
        made by the engine.
    reads : tuple of tuple of Read
        Of each stage.
    starts : tuple of int
        When each begins.
    cycles : int
        From the first step to the last, where neither input nor output makes it wait.
    """

    jobs: tuple[Job, ...]
    stages: tuple[int, ...]
    depth: tuple[int, ...]
    reads: tuple[tuple[Read, ...], ...]
    starts: tuple[int, ...]
    cycles: int

    @property
    def steps(self) -> int:
        return sum(job.cycles for job in self.jobs)


def schedule(works: Sequence[Work], reads: Sequence[Sequence[Read]], latency: int) -> Program:
    """The order of the jobs of an engine's stages by the rule above.

    Parameters
    ----------
    works : sequence of Work
        In topological order.
    reads : sequence of sequence of Read
        Of each stage: what it contracts, and a summand where it has one.
    latency : int
        Cycles from a job's last step to the first in which all that it made can be read.

    Raises
    ------
    ValueError
        Naming the stage whose ring is too small.
    """
    order = _Order(works, reads, latency)
    while any(order.left):
        if not order.issue():
            name, rows = order.fullest()
            raise ValueError(f"stage {name}: a ring of {rows} rows is too small for the engine's order")
    found = tuple(order.jobs), tuple(order.stages), tuple(order.depth), tuple(map(tuple, order.reads))
    starts = tuple(end - job.cycles for end, job in zip(order.ends, order.jobs, strict=True))
    return Program(*found, starts, order.now)


class _Order:
    """A program in the making."""

    def __init__(self, works: Sequence[Work], reads: Sequence[Sequence[Read]], latency: int):
        self.works, self.reads, self.latency = works, reads, latency
        #: Of each stage: its jobs that are not in the order yet, and the places of those that are.
        self.left = [len(work.jobs) for work in works]
        self.places: list[list[int]] = [[] for _ in works]
        self.jobs: list[Job] = []
        self.stages: list[int] = []
        self.depth: list[int] = []
        self.ends: list[int] = []
        self.now = 0
        #: Who reads what each stage makes, and the stream: stages, and which of their inputs.
        self._readers: dict[int, list[tuple[int, int]]] = {source: [] for source in range(OUTSIDE, len(works))}
        for reader, given in enumerate(self.reads):
            for number, read in enumerate(given):
                self._readers[read.source].append((reader, number))

    def issue(self) -> bool:
        """Put one job more into the order; whether any can go on."""
        best: tuple[int, int] | None = None
        for stage in reversed(range(len(self.works))):
            start = self._start(stage)
            if start is not None and (best is None or start < best[0]):
                best = start, stage
                if start == self.now:
                    break
        if best is None:
            return False
        start, stage = best
        job, number = self._next(stage), len(self.jobs)
        made = self._made(stage)
        assert made is not None
        self.depth.append(number - 1 - max(made) if made else number)
        self.places[stage].append(number)
        self.left[stage] -= 1
        self.jobs.append(job)
        self.stages.append(stage)
        self.now = start + job.cycles
        self.ends.append(self.now)
        return True

    def fullest(self) -> tuple[str, int]:
        """The reader and the rows of a ring that stops the order."""
        for stage in range(len(self.works)):
            if self.left[stage] and self._made(stage) is not None:
                for reader, number in self._full(stage):
                    return self.works[reader].node.name, self.reads[reader][number].rows
        raise RuntimeError("an order that stops for no ring")

    def _next(self, stage: int) -> Job:
        return self.works[stage].jobs[len(self.places[stage])]

    def _start(self, stage: int) -> int | None:
        """When the stage's next job could start; None where its inputs or the room for its row are not there."""
        if not self.left[stage] or self._full(stage):
            return None
        made = self._made(stage)
        return None if made is None else max([self.now, *(self.ends[place] + self.latency for place in made)])

    def _made(self, stage: int) -> list[int] | None:
        """Places of the jobs that make the last of what the stage's next one reads; None where one has none yet."""
        job, places = self._next(stage), []
        for read in self.reads[stage]:
            if read.source != OUTSIDE:
                number = _job_of(self.works[read.source].jobs, read.end(job) - 1)
                if number >= len(self.places[read.source]):
                    return None
                places.append(self.places[read.source][number])
        return places

    def _full(self, stage: int) -> list[tuple[int, int]]:
        """The rings, by reader and its input, that have no room for a row that the stage's next job makes or reads."""
        job, work = self._next(stage), self.works[stage]
        width = work.geometry.out_shape[2]
        rows = [(stage, width, (job.last - 1) // width)]
        for read in self.reads[stage]:
            if read.source == OUTSIDE and len(self._readers[OUTSIDE]) > 1:
                width = work.width if not read.summand else work.geometry.out_shape[2]
                rows.append((OUTSIDE, width, (read.end(job) - 1) // width))
        return [
            (reader, number)
            for source, width, row in rows
            for reader, number in self._readers[source]
            if row - self._kept(reader, (read := self.reads[reader][number]), width) >= read.rows
        ]

    def _kept(self, reader: int, read: Read, width: int) -> int:
        """The first row that a reader's jobs after those in the order still read."""
        done = len(self.places[reader])
        return read.keeps(self.works[reader].jobs[done - 1], width) if done else 0


def _job_of(jobs: Sequence[Job], position: int) -> int:
    """The number of the job that makes a position."""
    return bisect_right(jobs, position, key=lambda job: job.last)
