"""The least rings of an engine: rows that must be there at once, where stages work only for what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence

from rtl_gen.engine.jobs import Work
from rtl_gen.engine.schedule import OUTSIDE, Read

__all__ = ["least_rows"]


def least_rows(works: Sequence[Work], reads: Sequence[Sequence[Read]]) -> tuple[int, ...]:
    """Rows of the stream's ring, and of that behind each stage but the last.

    The last stage's jobs are asked for one after the other, and each asks for what it reads. With so many rows no order
    that only waits for inputs and for room can get stuck: whatever may be done, may still be done later.

    Parameters
    ----------
    works : sequence of Work
        In topological order.
    reads : sequence of sequence of Read
        Of each stage; their rows do not matter.
    """
    return _Demand(works, reads).rows()


class _Demand:
    """Jobs in the order in which they are asked for."""

    def __init__(self, works: Sequence[Work], reads: Sequence[Sequence[Read]]):
        self.works, self.reads = works, reads
        self.done = [0] * len(works)
        self.readers: dict[int, list[tuple[int, Read]]] = {source: [] for source in range(OUTSIDE, len(works))}
        for reader, given in enumerate(reads):
            for read in given:
                self.readers[read.source].append((reader, read))
        self.most = [1] * len(works)

    def rows(self) -> tuple[int, ...]:
        for number in range(len(self.works)):  # the last stage's; then what nobody asks for any more
            for job in self.works[-1 - number].jobs:
                self._until(len(self.works) - 1 - number, job.last)
        return tuple(self.most)

    def _until(self, stage: int, position: int) -> None:
        """Do jobs of a stage until it has made the positions before one."""
        jobs = self.works[stage].jobs
        while self.done[stage] < len(jobs) and (self.done[stage] == 0 or jobs[self.done[stage] - 1].last < position):
            job = jobs[self.done[stage]]
            for read in self.reads[stage]:
                if read.source != OUTSIDE:
                    self._until(read.source, read.end(job))
                else:
                    self._held(OUTSIDE, read.end(job) - 1)
            if stage < len(self.works) - 1:
                self._held(stage, job.last - 1)
            self.done[stage] += 1

    def _held(self, source: int, position: int) -> None:
        """A position of what a stage makes, or of the stream, must be there."""
        width = self._width(source)
        kept = min(self._kept(reader, read, width) for reader, read in self.readers[source])
        self.most[source + 1] = max(self.most[source + 1], position // width + 1 - kept)

    def _width(self, source: int) -> int:
        """Positions of a row."""
        if source != OUTSIDE:
            return self.works[source].geometry.out_shape[2]
        return next(self.works[reader].width for reader, read in self.readers[OUTSIDE] if not read.summand)

    def _kept(self, reader: int, read: Read, width: int) -> int:
        """The first row that a reader still reads."""
        done = self.done[reader]
        return read.keeps(self.works[reader].jobs[done - 1], width) if done else 0
