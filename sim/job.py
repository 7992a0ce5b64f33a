"""One simulation: what is sent through which design under which conditions, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from qtt_hw.graph import Graph
from qtt_hw.graph.file import load
from rtl_gen.manifest import Manifest
from rtl_gen.words import pack
from sim.rules import End
from sim.scoreboard import FirstDifference, Scoreboard
from sim.stalls import Stalls, pattern

__all__ = ["Completed", "Job", "Outcome"]

#: An engine's: called with the number of a job's samples that have come out so far.
Completed = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """Samples for one design.

    Parameters
    ----------
    build : Path
    manifest : Manifest
    graph : Graph
    x : integer array, [N, D, H, W, C]
    first : int
        Number of the first sample in reports.
    source, sink : Stalls
    seed : int
    watchdog : int
        Cycles without a transfer that count as a deadlock.
    """

    build: Path
    manifest: Manifest
    graph: Graph
    x: NDArray
    first: int
    source: Stalls
    sink: Stalls
    seed: int
    watchdog: int

    def scoreboard(self) -> Scoreboard:
        return Scoreboard(self.graph, self.manifest, self.x, first=self.first)

    def words(self) -> NDArray:
        """The input stream, uint32 [samples * words, limbs]."""
        return pack(self.x, self.manifest.input.lanes, self.manifest.input.lane_bits)

    @property
    def words_in(self) -> int:
        """Words of the input stream."""
        return len(self.x) * self.manifest.input.words

    @property
    def words_out(self) -> int:
        """Words of the output stream."""
        return len(self.x) * self.manifest.output.words

    def save(self, folder: Path) -> None:
        """Write everything that another process needs to run this job."""
        np.save(folder / "x.npy", self.x)
        content = {
            "build": str(self.build.resolve()),
            "first": self.first,
            "source": self.source.name,
            "sink": self.sink.name,
            "seed": self.seed,
            "watchdog": self.watchdog,
        }
        (folder / "job.json").write_text(json.dumps(content), encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> Job:
        """The job that `save` wrote."""
        content = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        build = Path(content.pop("build"))
        manifest = Manifest.load(build)
        source, sink = pattern(content.pop("source")), pattern(content.pop("sink"))
        x = np.load(folder / "x.npy")
        return Job(build, manifest, load(build / manifest.model), x, source=source, sink=sink, **content)


class Outcome(BaseModel):
    """Samples sent back to back through one design by one simulation.

    Parameters
    ----------
    difference : FirstDifference, optional
    starts : tuple of int
        The cycle of each sample's first input transfer.
    ends : tuple of int
        The cycle of each sample's last output transfer.
    cycles : int
        Simulated.
    failure : str, optional
        A deadlock or a broken rule of the stream, in one line.
    failure_cycle : int, optional
        Of the last transfer before a deadlock, or of the broken rule.
    """

    model_config = ConfigDict(frozen=True)

    difference: FirstDifference | None
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    cycles: int
    failure: str | None = None
    failure_cycle: int | None = None

    @staticmethod
    def of(job: Job, scoreboard: Scoreboard, starts: Sequence[int], end: End) -> Outcome:
        """What a run comes to, whose every transfer the scoreboard has been given."""
        scoreboard.finish()
        failure = end.failure(job.words_in, scoreboard.completed, len(job.x))
        return Outcome(
            difference=scoreboard.difference,
            starts=tuple(starts),
            ends=tuple(scoreboard.ends),
            cycles=end.cycle,
            failure=failure,
            failure_cycle=None if failure is None else end.last,
        )

    @property
    def equal(self) -> bool:
        return self.difference is None and self.failure is None

    @property
    def latency(self) -> int | None:
        """Cycles from the first sample's first input transfer to its last output transfer."""
        return self.ends[0] - self.starts[0] if self.starts and self.ends else None

    @property
    def relative_ends(self) -> tuple[int, ...]:
        """The cycle of each sample's last output transfer, counted from the first input transfer."""
        return tuple(end - self.starts[0] for end in self.ends) if self.starts else ()

    def intervals(self, period: int) -> tuple[int, ...]:
        """The last `period` numbers of cycles between samples' last output transfers; none where fewer came out."""
        gaps = [b - a for a, b in zip(self.ends, self.ends[1:], strict=False)]
        return tuple(gaps[-period:]) if len(gaps) >= period else ()

    def repeats(self, period: int) -> bool:
        """Whether the last `period` intervals are those before them."""
        twice = self.intervals(2 * period)
        return bool(twice) and twice[:period] == twice[period:]
