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
    dsps, brams : int or None
        None is unbounded: what it would count is then part of the price.
    luts : float or None
    prices : (float, float, float)
        Of a DSP, a block RAM and a LUT, in the sum that decides between chains that fit.
    """

    dsps: int | None
    brams: int | None
    luts: float | None
    prices: tuple[float, float, float]

    def price(self, resources: Resources) -> float:
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
    """Totals that none beats: DSPs and block RAMs (0 where they are unbounded), LUTs, and the price.

    Attributes
    ----------
    dsps, brams : int64 array, [points]
    luts, price : float64 array, [points]
        When LUTs are unbounded they are 0 and only the price is compared.
    """

    dsps: NDArray[np.int64]
    brams: NDArray[np.int64]
    luts: NDArray[np.float64]
    price: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.dsps)


_START = Front(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1), np.zeros(1))

#: By the width of the words read.
Fronts = dict[int, Front]


def _step(choice: Choice, budget: Budget) -> tuple[int, int, float, float]:
    r = choice.resources
    return (
        r.dsps if budget.dsps is not None else 0,
        r.brams if budget.brams is not None else 0,
        float(r.luts) if budget.luts is not None else 0.0,
        budget.price(r),
    )


def _added(front: Front, step: tuple[int, int, float, float]) -> Front:
    d, b, luts, price = step
    return Front(front.dsps + d, front.brams + b, front.luts + luts, front.price + price)


def _pruned(parts: Sequence[Front], budget: Budget) -> Front | None:
    """The points within the budget that no other beats; of equal ones the cheapest by price."""
    d, b, luts, price = (np.concatenate([getattr(f, n) for f in parts]) for n in ("dsps", "brams", "luts", "price"))
    inside = np.ones(len(d), dtype=bool)
    for values, limit in ((d, budget.dsps), (b, budget.brams), (luts, budget.luts)):
        if limit is not None:
            inside &= values <= limit
    if not inside.any():
        return None
    d, b, luts, price = d[inside], b[inside], luts[inside], price[inside]
    # Where LUTs are counted they are the third coordinate, else the price is.
    third = luts if budget.luts is not None else price
    order = np.lexsort((price, third))
    rows, columns = int(d.max()) + 1, int(b.max()) + 1
    least = np.full((rows, columns), math.inf)
    np.minimum.at(least, (d, b), third)
    below = np.full((rows + 1, columns + 1), math.inf)
    below[1:, 1:] = np.minimum.accumulate(np.minimum.accumulate(least, axis=0), axis=1)
    # A cell is kept when nothing with fewer DSPs or block RAMs has as few of the third.
    kept_cells = least < np.minimum(below[:-1, 1:], below[1:, :-1])
    # The first of each cell, by the third coordinate and then by price.
    cell = d[order] * columns + b[order]
    _, first = np.unique(cell, return_index=True)
    chosen = order[first]
    chosen = chosen[kept_cells[d[chosen], b[chosen]]]
    return Front(d[chosen], b[chosen], luts[chosen], price[chosen])


def _stage_fronts(stage: StageChoices, behind: Fronts, cycles: int, budget: Budget) -> Fronts:
    found: Fronts = {}
    for width in stage.widths:
        parts = [
            _added(front, _step(choice, budget))
            for width_behind, front in behind.items()
            for choice in stage.of(width, width_behind)
            if choice.cycles <= cycles
        ]
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
    width, point = min(
        ((width, k) for width, front in behind.items() for k in range(len(front))),
        key=lambda item: behind[item[0]].price[item[1]],
    )
    target = tuple(float(values[point]) for values in _columns(behind[width]))
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


def _columns(front: Front) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    return front.dsps, front.brams, front.luts, front.price


def _index(front: Front | None, target: tuple[float, ...]) -> int | None:
    if front is None:
        return None
    hit = np.logical_and.reduce([values == value for values, value in zip(_columns(front), target, strict=True)])
    return int(np.argmax(hit)) if hit.any() else None


def _traced(
    stage: StageChoices, width: int, target: tuple[float, ...], after: Fronts, cycles: int, budget: Budget
) -> tuple[Choice, int, tuple[float, ...]]:
    """The choice that led to a point of the stage's front, and the point behind it that it was added to."""
    for width_behind, front in after.items():
        for choice in stage.of(width, width_behind):
            if choice.cycles > cycles:
                continue
            index = _index(_added(front, _step(choice, budget)), target)
            if index is not None:
                return choice, width_behind, tuple(float(values[index]) for values in _columns(front))
    raise RuntimeError("a point of the front has no origin")
