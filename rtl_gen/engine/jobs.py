"""The jobs of a stage in an engine: neighbouring outputs of a row whose windows have the same taps.

A job is what an engine's array does without a pause. Its windows lie side by side along W and have the same valid taps
along each axis, so that a few numbers say all of it; a row whose ends read padding is three jobs. Words are `simd`
channels, results `pe` channels; channels that do not fill the last word or result are padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby

from qtt_hw.graph import Contraction, Edge
from rtl_gen.geometry import Geometry

__all__ = ["Job", "Work", "plain", "work_of"]


@dataclass(frozen=True)
class Job:
    """Some neighbouring outputs of one row of a stage.

    Attributes
    ----------
    first, positions : int
        The first output position in raster order, and how many.
    taps : tuple of int
        Valid taps of each window along D, H and W.
    first_taps : tuple of int
        The first valid tap along each axis.
    start : int
        The input position under the first window's first valid tap.
    end : int
        The input position after the last that is read.
    keeps : int
        Input rows that neither a later job of the stage nor this one's successor reads: those before this.
    results, steps : int
        Results of all positions, `pe` channels each; products of `simd` inputs, one a cycle, for each of them.
    """

    first: int
    positions: int
    taps: tuple[int, int, int]
    first_taps: tuple[int, int, int]
    start: int
    end: int
    keeps: int
    results: int
    steps: int

    @property
    def cycles(self) -> int:
        return self.results * self.steps

    @property
    def last(self) -> int:
        """The output position after its last."""
        return self.first + self.positions


@dataclass(frozen=True, eq=False)
class Work:
    """A stage as an engine does it.

    Attributes
    ----------
    node : Contraction
    simd : int
        Channels of a word.
    geometry : Geometry
        In positions.
    words, groups : int
        Words of an input position, results of an output position.
    jobs : tuple of Job
        In raster order.
    least_rows : int
        Input rows that a ring must hold so that every job's can be there at once.
    """

    node: Contraction
    simd: int
    geometry: Geometry
    words: int
    groups: int
    jobs: tuple[Job, ...]
    least_rows: int

    @property
    def width(self) -> int:
        """Positions of an input row."""
        return self.geometry.axes[2].size

    @property
    def rows(self) -> int:
        """Of the input."""
        return self.geometry.axes[0].size * self.geometry.axes[1].size

    @cached_property
    def cycles(self) -> int:
        """Steps of an inference."""
        return sum(job.cycles for job in self.jobs)

    @cached_property
    def least_steps(self) -> int:
        """Of a result, the least."""
        return min(job.steps for job in self.jobs)

    @cached_property
    def least_cycles(self) -> int:
        """Of a job, the least."""
        return min(job.cycles for job in self.jobs)

    @cached_property
    def most_positions(self) -> int:
        """Of a job, the most."""
        return max(job.positions for job in self.jobs)


def plain(node: Contraction) -> None:
    """Raise ValueError for a contraction that carries modes, has groups, or whose taps along W are not neighbours."""
    if node.lead > 1 or node.trail > 1 or node.groups > 1:
        raise ValueError(f"stage {node.name}: an engine's stages neither carry modes nor have groups")
    if node.window.dilation[2] > 1:
        raise ValueError(f"stage {node.name}: taps of an engine's stages along W are neighbours")


@lru_cache(maxsize=8192)
def work_of(node: Contraction, x: Edge, simd: int, pe: int, *, fills: bool = True) -> Work:
    """The jobs of a plain contraction on simd x pe lanes.

    With `fills` its results fill words of `simd` channels, padded ones too; the last stage's need not.

    Raises
    ------
    ValueError
        For one that carries modes, has groups, or whose taps along W are not neighbours.
    """
    plain(node)
    geometry = Geometry(node.window.axes(x.shape), 1)
    made = -(-node.out_size // simd) * simd if fills else node.out_size
    words, groups = -(-node.in_size // simd), -(-made // pe)
    jobs = tuple(_jobs(geometry, words, groups))
    return Work(node, simd, geometry, words, groups, jobs, _least_rows(jobs, geometry.axes[2].size))


def _jobs(geometry: Geometry, words: int, groups: int) -> list[Job]:
    d, h, w = geometry.axes
    runs = [list(run) for _, run in groupby(range(w.out_size), key=lambda o: (w.first_tap(o), w.count(o)))]
    rows, found = d.size * h.size, []
    for plane in range(d.out_size):
        for line in range(h.out_size):
            for run in runs:
                taps = d.count(plane), h.count(line), w.count(run[0])
                first = (plane * h.out_size + line) * w.out_size + run[0]
                after = first + len(run)
                found.append(
                    Job(
                        first=first,
                        positions=len(run),
                        taps=taps,
                        first_taps=(d.first_tap(plane), h.first_tap(line), w.first_tap(run[0])),
                        start=(d.first(plane) * h.size + h.first(line)) * w.size + w.first(run[0]),
                        end=(d.last(plane) * h.size + h.last(line)) * w.size + w.last(run[-1]) + 1,
                        keeps=int(geometry.keeps[after]) // w.size if after < geometry.out_positions else rows,
                        results=len(run) * groups,
                        steps=taps[0] * taps[1] * taps[2] * words,
                    )
                )
    return found


def _least_rows(jobs: Sequence[Job], width: int) -> int:
    least = kept = 0
    for job in jobs:
        least = max(least, -(-job.end // width) - kept)
        kept = job.keeps
    return least
