"""Pareto-front dynamic programming: every trade of DSPs, block RAMs and LUTs that a chain of stages allows.

For a given number of cycles, the front of a chain is the set of its totals (DSPs, block RAMs, LUTs) within the budget
that no other total beats. It is built from the last stage back, by the width of the words that the chain reads, since
that is all the stage before needs to know. A layer that can be contracted along several paths is a slot with several
alternatives. The result is exact over the given choices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtl_gen.plan.choices import Choice, StageChoices
from rtl_gen.plan.resources import Resources

__all__ = ["Budget", "Front", "Slot", "Solution", "fronts", "solve"]


@dataclass(frozen=True)
class Budget:
    """What the stages of a chain may use together.

    Parameters
    ----------
    dsps, brams, luts : int or None
        None is unbounded.
    prices : (float, float, float)
        Of a DSP, a block RAM and a LUT, in the sum that decides between chains that fit. Where LUTs are bounded, what
        is unbounded has no price.
    """

    dsps: int | None
    brams: int | None
    luts: int | None
    prices: tuple[float, float, float]

    @property
    def counted(self) -> tuple[int, int]:
        """1 for DSPs and for block RAMs that are bounded."""
        return int(self.dsps is not None), int(self.brams is not None)

    def price(self, resources: Resources) -> float:
        """Of some resources, in the unit that `prices` give."""
        d, b, t = self.prices
        return d * resources.dsps + b * resources.brams + t * resources.luts


@dataclass(frozen=True)
class Slot:
    """A layer: what it is called, and the stages of every path along which it can be contracted, by the path's text.

    A stage that has no choice of paths is a slot of one.
    """

    name: str
    paths: dict[str, tuple[StageChoices, ...]]


@dataclass(frozen=True)
class Front:
    """Totals that none beats.

    Attributes
    ----------
    dsps, brams : int64 array, [points]
        0 where they are unbounded.
    rest : float64 array, [points]
        LUTs; where they are unbounded, the price of everything.
    """

    dsps: NDArray[np.int64]
    brams: NDArray[np.int64]
    rest: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.dsps)

    def prices(self, budget: Budget) -> NDArray[np.float64]:
        """Of every point."""
        if budget.luts is None:
            return self.rest
        d, b, t = budget.prices
        return d * self.dsps + b * self.brams + t * self.rest


_START = Front(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1))

#: DSPs, block RAMs and the rest.
Point = tuple[int, int, float]
#: By the width of the words read.
Fronts = dict[int, Front]


def _added(front: Front, costs: NDArray[np.int64], budget: Budget) -> Front:
    """Every point of a front with every choice (cycles, dsps, brams, luts) added, the choices fastest."""
    dsps, brams = budget.counted
    rest = costs[:, 3].astype(np.float64) if budget.luts is not None else costs[:, 1:] @ np.array(budget.prices)
    return Front(
        np.add.outer(front.dsps, dsps * costs[:, 1]).ravel(),
        np.add.outer(front.brams, brams * costs[:, 2]).ravel(),
        np.add.outer(front.rest, rest).ravel(),
    )


def _pruned(parts: Sequence[Front], budget: Budget) -> Front | None:
    """The points within the budget that no other beats, each once."""
    d, b, rest = (np.concatenate([getattr(f, n) for f in parts]) for n in ("dsps", "brams", "rest"))
    inside = np.ones(len(d), dtype=bool)
    for values, limit in ((d, budget.dsps), (b, budget.brams), (rest, budget.luts)):
        if limit is not None:
            inside &= values <= limit
    if not inside.any():
        return None
    d, b, rest = d[inside], b[inside], rest[inside]
    rows, columns = int(d.max()) + 1, int(b.max()) + 1
    flat = np.full(rows * columns, math.inf)
    np.minimum.at(flat, d * columns + b, rest)
    least = flat.reshape(rows, columns)
    below = np.full((rows + 1, columns + 1), math.inf)
    below[1:, 1:] = np.minimum.accumulate(np.minimum.accumulate(least, axis=0), axis=1)
    # A cell is kept when nothing with fewer DSPs or block RAMs has as little of the rest.
    kept = np.nonzero(least < np.minimum(below[:-1, 1:], below[1:, :-1]))
    return Front(kept[0], kept[1], least[kept])


def _stage_fronts(stage: StageChoices, behind: Fronts, cycles: int, budget: Budget) -> Fronts:
    found: Fronts = {}
    for width in stage.widths:
        parts = []
        for width_behind, front in behind.items():
            costs = stage.costs(width, width_behind)
            costs = costs[costs[:, 0] <= cycles]
            if len(costs):
                parts.append(_added(front, costs, budget))
        pruned = _pruned(parts, budget) if parts else None
        if pruned is not None:
            found[width] = pruned
    return found


def _path_fronts(stages: Sequence[StageChoices], behind: Fronts, cycles: int, budget: Budget) -> list[Fronts]:
    """The fronts before each stage of a path, and last those behind it; empty ones when it does not fit."""
    found = [behind]
    for stage in reversed(stages):
        found.append(_stage_fronts(stage, found[-1], cycles, budget))
    return found[::-1]


def _merged(alternatives: Sequence[Fronts], budget: Budget) -> Fronts:
    found: Fronts = {}
    for width in sorted({width for fronts_ in alternatives for width in fronts_}):
        pruned = _pruned([fronts_[width] for fronts_ in alternatives if width in fronts_], budget)
        assert pruned is not None
        found[width] = pruned
    return found


@dataclass(frozen=True)
class Solution:
    """The choices of a chain: a path for every slot, and a folding for every stage of it."""

    paths: tuple[str, ...]
    choices: tuple[tuple[Choice, ...], ...]

    @property
    def resources(self) -> Resources:
        return sum((choice.resources for slot in self.choices for choice in slot), Resources())


def fronts(slots: Sequence[Slot], cycles: int, budget: Budget) -> Fronts:
    """The fronts of a whole chain, by the width of its input words; empty when none fits."""
    behind: Fronts = {1: _START}
    for slot in reversed(slots):
        paths = [_path_fronts(stages, behind, cycles, budget)[0] for stages in slot.paths.values()]
        behind = _merged(paths, budget)
    return behind


def solve(slots: Sequence[Slot], cycles: int, budget: Budget) -> Solution | None:
    """The chain of least price that fits the budget, with no stage slower than `cycles`; None when there is none."""
    chain: list[dict[str, list[Fronts]]] = []
    behind: Fronts = {1: _START}
    for slot in reversed(slots):
        paths = {text: _path_fronts(stages, behind, cycles, budget) for text, stages in slot.paths.items()}
        behind = _merged([found[0] for found in paths.values()], budget)
        if not behind:
            return None
        chain.append(paths)
    width = min(behind, key=lambda width: float(behind[width].prices(budget).min()))
    target = _point(behind[width], int(np.argmin(behind[width].prices(budget))))
    texts, choices = [], []
    for slot, found in zip(slots, reversed(chain), strict=True):
        text = next(text for text, stages in found.items() if _index(stages[0].get(width), target) is not None)
        texts.append(text)
        taken = []
        for stage, after in zip(slot.paths[text], found[text][1:], strict=True):
            choice, width, target = _traced(stage, width, target, after, cycles, budget)
            taken.append(choice)
        choices.append(tuple(taken))
    return Solution(tuple(texts), tuple(choices))


def _point(front: Front, index: int) -> Point:
    return int(front.dsps[index]), int(front.brams[index]), float(front.rest[index])


def _index(front: Front | None, target: Point) -> int | None:
    if front is None:
        return None
    hit = (front.dsps == target[0]) & (front.brams == target[1]) & (front.rest == target[2])
    return int(np.argmax(hit)) if hit.any() else None


def _traced(
    stage: StageChoices, width: int, target: Point, after: Fronts, cycles: int, budget: Budget
) -> tuple[Choice, int, Point]:
    """The choice that led to a point of the stage's front, and the point behind it that it was added to."""
    for width_behind, front in after.items():
        costs = stage.costs(width, width_behind)
        fast = np.flatnonzero(costs[:, 0] <= cycles)
        index = _index(_added(front, costs[fast], budget), target)
        if index is not None:
            point, choice = divmod(index, len(fast))
            found = stage.of(width, width_behind)[fast[choice]]
            return found, width_behind, _point(front, point)
    raise RuntimeError("a point of the front has no origin")
