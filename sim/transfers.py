"""What an engine that runs by itself tells: blocks of transfers as they come, then how the run ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.job import Completed, Job, Outcome
from sim.rules import End

__all__ = ["OUTPUT", "STARTS", "TAPS", "Stretch", "outcome"]

#: Numbers of streams: the first input transfer of each sample (without words), the output, and the first tap.
STARTS, OUTPUT, TAPS = 0, 1, 2


@dataclass(frozen=True)
class Stretch:
    """Consecutive transfers of one stream.

    Parameters
    ----------
    stream : int
        STARTS, OUTPUT, or TAPS and up.
    words : uint32 array, [transfers, limbs]
    cycles : uint64 array, [transfers]
    """

    stream: int
    words: NDArray[np.uint32]
    cycles: NDArray[np.uint64]


def outcome(job: Job, items: Iterable[Stretch | End], completed: Completed) -> Outcome:
    """Every transfer of a run against the golden model; the last item is the End."""
    scoreboard = job.scoreboard()
    starts: list[int] = []
    end: End | None = None
    for item in items:
        if isinstance(item, End):
            end = item
        elif item.stream == STARTS:
            starts += [int(cycle) for cycle in item.cycles]
        elif item.stream == OUTPUT:
            scoreboard.output(item.words, item.cycles)
            completed(min(scoreboard.completed, len(job.x)))
        else:
            scoreboard.tap(item.stream - TAPS, item.words, item.cycles)
    assert end is not None, "an engine's last word is how the run ended"
    return Outcome.of(job, scoreboard, starts, end)
