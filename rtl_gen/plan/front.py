"""Pareto-front dynamic programming: every trade of DSPs, block RAMs and LUTs that a chain of stages allows.

For a given number of cycles, the front of a chain is the set of its totals (DSPs, block RAMs, LUTs) within the budget
that no other total beats. It is built from the last stage back, by the widths of words that the chain can read, since
that is all the stage before needs to know. A layer that can be contracted along several paths is a slot with several
alternatives. A block is a sum and two branches from one stream: the front behind the sum goes through one branch, then
through the other, and the stream before must have words that both can read. The result is exact over the given choices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from ctypes import c_double, c_int64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.ctypeslib import ndpointer
from numpy.typing import NDArray

from rtl_gen.compiled import load_library
from rtl_gen.families import Resources
from rtl_gen.kinds.choices import Choice, JoinChoices, Lanes, StageChoices, readable

__all__ = ["Budget", "Front", "Items", "Join", "Slot", "Solution", "fronts", "solve"]


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
        """The price of some resources, in the unit that `prices` give."""
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
class Join:
    """A stage that joins two branches from the stream that both read; a branch may be empty."""

    name: str
    choices: JoinChoices
    branches: tuple[Items, Items]


#: Layers and blocks in the order of the stream.
Items = tuple[Slot | Join, ...]


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
        """The price of every point, float64 [points]."""
        if budget.luts is None:
            return self.rest
        d, b, t = budget.prices
        return d * self.dsps + b * self.brams + t * self.rest


_START = Front(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1))

#: DSPs, block RAMs and the rest.
Point = tuple[int, int, float]
#: By the widths that can be read.
Fronts = dict[Lanes, Front]
#: What was chosen for a slot or a sum, by its name: the path and the foldings.
Taken = dict[str, tuple[str, tuple[Choice, ...]]]


def _added(front: Front, costs: NDArray[np.int64], budget: Budget) -> Front:
    """Every point of a front with every choice (cycles, dsps, brams, luts) added, the choices fastest."""
    dsps, brams = budget.counted
    return Front(
        np.add.outer(front.dsps, dsps * costs[:, 1]).ravel(),
        np.add.outer(front.brams, brams * costs[:, 2]).ravel(),
        np.add.outer(front.rest, _rest(costs, budget)).ravel(),
    )


def _rest(costs: NDArray[np.int64], budget: Budget) -> NDArray[np.float64]:
    """Of choices (cycles, dsps, brams, luts): LUTs, or the price of everything."""
    return costs[:, 3].astype(np.float64) if budget.luts is not None else costs[:, 1:] @ np.array(budget.prices)


def _extended(parts: Sequence[tuple[Front, NDArray[np.int64]]], budget: Budget) -> Front | None:
    """The points within the budget that no other beats, of every front with each of its choices added."""
    counted_dsps, counted_brams = budget.counted
    most_dsps = max(int(front.dsps.max() + counted_dsps * costs[:, 1].max()) for front, costs in parts)
    most_brams = max(int(front.brams.max() + counted_brams * costs[:, 2].max()) for front, costs in parts)
    rows = most_dsps + 1 if budget.dsps is None else min(most_dsps, budget.dsps) + 1
    columns = most_brams + 1 if budget.brams is None else min(most_brams, budget.brams) + 1
    if rows < 1 or columns < 1:
        return None
    least = np.full(rows * columns, math.inf)
    for front, costs in parts:
        dsps, brams, rest = counted_dsps * costs[:, 1], counted_brams * costs[:, 2], _rest(costs, budget)
        most = math.inf if budget.luts is None else float(budget.luts)
        _library().extend(
            *(front.dsps, front.brams, front.rest, len(front), dsps, brams, rest, len(costs)),
            *(rows, columns, most, least),
        )
    dsps, brams, rest = np.empty(least.size, np.int64), np.empty(least.size, np.int64), np.empty(least.size)
    count = _library().unbeaten(least, rows, columns, dsps, brams, rest)
    return Front(dsps[:count].copy(), brams[:count].copy(), rest[:count].copy()) if count else None


#: A choice that costs nothing.
_NONE = np.zeros((1, 4), np.int64)


def _pruned(parts: Sequence[Front], budget: Budget) -> Front | None:
    """The points within the budget that no other beats, each once."""
    return _extended([(front, _NONE) for front in parts], budget)


def _merged(alternatives: Iterable[tuple[Lanes, Front]], budget: Budget) -> Fronts:
    """The fronts of alternatives, one for each set of widths."""
    parts: dict[Lanes, list[Front]] = {}
    for lanes, front in alternatives:
        parts.setdefault(lanes, []).append(front)
    found = {lanes: fronts_[0] if len(fronts_) == 1 else _pruned(fronts_, budget) for lanes, fronts_ in parts.items()}
    return {lanes: front for lanes, front in found.items() if front is not None}


_INTEGERS, _FLOATS = (ndpointer(kind, ndim=1, flags="C_CONTIGUOUS") for kind in (np.int64, np.float64))
_TABLES = [_INTEGERS, _INTEGERS, _FLOATS]


@cache
def _library() -> Any:
    library = load_library(Path(__file__).with_name("front.cpp"))
    library.extend.argtypes = [*_TABLES, c_int64, *_TABLES, c_int64, c_int64, c_int64, c_double, _FLOATS]
    library.extend.restype = None
    library.unbeaten.argtypes, library.unbeaten.restype = [_FLOATS, c_int64, c_int64, *_TABLES], c_int64
    return library


def _point(front: Front, index: int) -> Point:
    return int(front.dsps[index]), int(front.brams[index]), float(front.rest[index])


def _index(front: Front | None, target: Point) -> int | None:
    if front is None:
        return None
    hit = (front.dsps == target[0]) & (front.brams == target[1]) & (front.rest == target[2])
    return int(np.argmax(hit)) if hit.any() else None


@dataclass(frozen=True)
class _Limits:
    """What every stage must keep to."""

    cycles: int
    budget: Budget


class _StageStep:
    """A stage before what follows it."""

    def __init__(self, stage: StageChoices, behind: Fronts, limits: _Limits):
        self.stage, self.behind, self.limits = stage, behind, limits
        self.fronts = {width: front for width in stage.widths if (front := self._front(width)) is not None}
        self.before = _merged(((stage.reads(width), front) for width, front in self.fronts.items()), limits.budget)

    def _costs(self, width: int, behind: Lanes) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """The choices that are fast enough, by number, and their costs."""
        costs = self.stage.costs(width, behind)
        fast = np.flatnonzero(costs[:, 0] <= self.limits.cycles)
        return fast, costs[fast]

    def _front(self, width: int) -> Front | None:
        parts = [(front, self._costs(width, lanes)[1]) for lanes, front in self.behind.items()]
        parts = [(front, costs) for front, costs in parts if len(costs)]
        return _extended(parts, self.limits.budget) if parts else None

    def trace(self, reads: Lanes, target: Point) -> tuple[Choice, Lanes, Point]:
        """The choice that led to a point, and the point behind it that it was added to."""
        for width, whole in self.fronts.items():
            if self.stage.reads(width) != reads or _index(whole, target) is None:
                continue
            for lanes, front in self.behind.items():
                fast, costs = self._costs(width, lanes)
                index = _index(_added(front, costs, self.limits.budget), target)
                if index is not None:
                    point, choice = divmod(index, len(fast))
                    return self.stage.of(width, lanes)[fast[choice]], lanes, _point(front, point)
        raise RuntimeError("a point of the front has no origin")


class _SlotStep:
    """A layer along all its paths before what follows it."""

    def __init__(self, slot: Slot, behind: Fronts, limits: _Limits):
        self.slot = slot
        self.paths: dict[str, list[_StageStep]] = {}
        for text, stages in slot.paths.items():
            steps: list[_StageStep] = []
            for stage in reversed(stages):
                steps.insert(0, _StageStep(stage, steps[0].before if steps else behind, limits))
            self.paths[text] = steps
        firsts = (item for steps in self.paths.values() for item in steps[0].before.items())
        self.before = _merged(firsts, limits.budget)

    def trace(self, reads: Lanes, target: Point) -> tuple[Taken, Lanes, Point]:
        text = next(t for t, steps in self.paths.items() if _index(steps[0].before.get(reads), target) is not None)
        choices = []
        for step in self.paths[text]:
            choice, reads, target = step.trace(reads, target)
            choices.append(choice)
        return {self.slot.name: (text, tuple(choices))}, reads, target


class _JoinStep:
    """A block before what follows it."""

    def __init__(self, block: Join, behind: Fronts, limits: _Limits):
        self.block, self.behind, self.limits = block, behind, limits
        starts: dict[tuple[Lanes, ...], list[Front]] = {}
        for lanes, choice in block.choices.choices.items():
            if choice.cycles <= limits.cycles:
                fronts_ = [self._added(choice, front) for reads, front in behind.items() if lanes in reads]
                starts.setdefault(block.choices.reads(lanes), []).extend(fronts_)
        #: By what the sum reads, the first branch; by that and what this one reads, the second.
        self.first: dict[tuple[Lanes, ...], _Series] = {}
        self.second: dict[tuple[tuple[Lanes, ...], Lanes], _Series] = {}
        wholes: list[tuple[Lanes, Front]] = []
        for reads, parts in starts.items():
            start = _pruned(parts, limits.budget) if parts else None
            if start is None:
                continue
            self.first[reads] = first = _Series(block.branches[0], {reads[0]: start}, limits)
            for one, front in first.before.items():
                self.second[reads, one] = second = _Series(block.branches[1], {reads[1]: front}, limits)
                wholes += [(one & other, whole) for other, whole in second.before.items() if one & other]
        self.before = _merged(wholes, limits.budget)

    def _added(self, choice: Choice, front: Front) -> Front:
        r = choice.resources
        return _added(front, np.array([[choice.cycles, r.dsps, r.brams, r.luts]]), self.limits.budget)

    def trace(self, reads: Lanes, target: Point) -> tuple[Taken, Lanes, Point]:
        for (sums, one), second in self.second.items():
            for other, front in second.before.items():
                if one & other == reads and _index(front, target) is not None:
                    taken, _, target = second.trace(other, target)
                    more, _, target = self.first[sums].trace(one, target)
                    choice, lanes, target = self._trace_sum(sums, target)
                    return {**taken, **more, self.block.name: ("", (choice,))}, lanes, target
        raise RuntimeError("a point of the front has no origin")

    def _trace_sum(self, sums: tuple[Lanes, ...], target: Point) -> tuple[Choice, Lanes, Point]:
        for lanes, choice in self.block.choices.choices.items():
            if choice.cycles > self.limits.cycles or self.block.choices.reads(lanes) != sums:
                continue
            for reads, front in self.behind.items():
                index = _index(self._added(choice, front), target) if lanes in reads else None
                if index is not None:
                    return choice, reads, _point(front, index)
        raise RuntimeError("a point of the front has no origin")


class _Series:
    """Layers and blocks before what follows them."""

    def __init__(self, items: Items, behind: Fronts, limits: _Limits):
        self.steps: list[_SlotStep | _JoinStep] = []
        self.before = behind
        for item in reversed(items):
            step = (_SlotStep if isinstance(item, Slot) else _JoinStep)(item, self.before, limits)  # type: ignore[arg-type]
            self.steps.insert(0, step)
            self.before = step.before

    def trace(self, reads: Lanes, target: Point) -> tuple[Taken, Lanes, Point]:
        """What led to a point, and the point behind it all that it was added to."""
        taken: Taken = {}
        for step in self.steps:
            more, reads, target = step.trace(reads, target)
            taken |= more
        return taken, reads, target


@dataclass(frozen=True)
class Solution:
    """The choices of a network: of every slot a path, and a folding for every stage of it; a folding for every sum.

    Attributes
    ----------
    taken : dict
        By the name of the slot or the sum; a sum has no path.
    reads : frozenset of int
        The widths that the words of the network's input can have.
    """

    taken: Taken
    reads: Lanes

    @property
    def paths(self) -> dict[str, str]:
        """The chosen path of each layer that has several, by the layer's name."""
        return {name: text for name, (text, _) in self.taken.items() if text}

    @property
    def choices(self) -> list[Choice]:
        return [choice for _, choices in self.taken.values() for choice in choices]

    @property
    def resources(self) -> Resources:
        return sum((choice.resources for choice in self.choices), Resources())


def _end(items: Sequence[Slot | Join]) -> Fronts:
    """Behind the last: the argmax, which takes words of any width."""
    last = items[-1]
    made = last.choices.made if isinstance(last, Join) else next(iter(last.paths.values()))[-1].made
    return {readable(made, 1): _START}


def fronts(items: Sequence[Slot | Join], cycles: int, budget: Budget) -> Fronts:
    """The fronts of a whole network, by the widths that its input words can have; empty when none fits."""
    return _Series(tuple(items), _end(items), _Limits(cycles, budget)).before


def solve(items: Sequence[Slot | Join], cycles: int, budget: Budget) -> Solution | None:
    """The network of least price that fits the budget, with no stage slower than `cycles`; None when there is none."""
    series = _Series(tuple(items), _end(items), _Limits(cycles, budget))
    if not series.before:
        return None
    reads = min(series.before, key=lambda lanes: float(series.before[lanes].prices(budget).min()))
    front = series.before[reads]
    taken, _, _ = series.trace(reads, _point(front, int(np.argmin(front.prices(budget)))))
    return Solution(taken, reads)
