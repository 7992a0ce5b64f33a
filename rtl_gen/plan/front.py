"""Pareto-front dynamic programming: every trade of DSPs, block RAMs and LUTs that a chain of stages allows.

For a given number of cycles, the front of a chain is the set of its totals (DSPs, block RAMs, LUTs) within the budget
that no other total beats. It is built from the last stage back, by the widths of words that the chain can read, since
that is all the stage before needs to know. A layer that can be contracted along several paths is a slot with several
alternatives. A block is a join and its branches from one stream: the front behind the join goes through one branch
after the other, and the stream before must have words that all can read. The result is exact over the given choices.
Of a network that does not nest, widths are settled before: powers of two, of which any two are compatible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl_gen.families import Resources
from rtl_gen.kinds.choices import Choice, JoinChoices, Lanes, StageChoices, readable
from rtl_gen.plan.engines import Engines
from rtl_gen.plan.segments import EngineStep
from rtl_gen.plan.totals import START, Budget, Front, Point, added, extended, index_of, merged, point_of, pruned

__all__ = ["Items", "Join", "Piece", "Slot", "Solution", "fronts", "solve"]


@dataclass(frozen=True)
class Slot:
    """A layer: what it is called, and the stages of every path along which it can be contracted, by the path's text.

    A stage that has no choice of paths is a slot of one.
    """

    name: str
    paths: dict[str, tuple[StageChoices, ...]]


@dataclass(frozen=True)
class Join:
    """A stage that joins branches from the stream that all of them read; a branch may be empty."""

    name: str
    choices: JoinChoices
    branches: tuple[Items, ...]


@dataclass(frozen=True)
class Piece:
    """A layer, or a join without branches, of a network that does not nest: the widths around it are settled before.

    Parameters
    ----------
    item : Slot or Join
    made : frozenset of int
        Widths that its words may have.
    read : tuple of frozenset of int
        Widths that the words at each of its inputs may have, all of which it must be able to take.
    outer : frozenset of int
        Widths that the words of the network's input may have.
    """

    item: Slot | Join
    made: Lanes
    read: tuple[Lanes, ...]
    outer: Lanes


#: Layers and blocks in the order of the stream; of a network that does not nest, pieces in a topological order.
Items = tuple[Slot | Join | Piece, ...]


#: By the widths that can be read.
Fronts = dict[Lanes, Front]
#: What was chosen for a slot or a sum, by its name: the path and the foldings.
Taken = dict[str, tuple[str, tuple[Choice, ...]]]


@dataclass(frozen=True)
class _Limits:
    """What every stage must keep to."""

    cycles: int
    budget: Budget
    engines: Engines | None = None


def with_choice(choice: Choice, front: Front, limits: _Limits) -> Front:
    """Every point of a front with one choice more."""
    r = choice.resources
    return added(front, np.array([[choice.cycles, r.dsps, r.brams, r.luts]]), limits.budget)


class _StageStep:
    """A stage before what follows it."""

    def __init__(self, stage: StageChoices, behind: Fronts, limits: _Limits):
        self.stage, self.behind, self.limits = stage, behind, limits
        self.fronts = {width: front for width in stage.widths if (front := self._front(width)) is not None}
        self.before = merged(((stage.reads(width), front) for width, front in self.fronts.items()), limits.budget)

    def _costs(self, width: int, behind: Lanes) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """The choices that are fast enough, by number, and their costs."""
        costs = self.stage.costs(width, behind)
        fast = np.flatnonzero(costs[:, 0] <= self.limits.cycles)
        return fast, costs[fast]

    def _front(self, width: int) -> Front | None:
        parts = [(front, self._costs(width, lanes)[1]) for lanes, front in self.behind.items()]
        parts = [(front, costs) for front, costs in parts if len(costs)]
        return extended(parts, self.limits.budget) if parts else None

    def trace(self, reads: Lanes, target: Point) -> tuple[Choice, Lanes, Point]:
        """The choice that led to a point, and the point behind it that it was added to."""
        for width, whole in self.fronts.items():
            if self.stage.reads(width) != reads or index_of(whole, target) is None:
                continue
            for lanes, front in self.behind.items():
                fast, costs = self._costs(width, lanes)
                index = index_of(added(front, costs, self.limits.budget), target)
                if index is not None:
                    point, choice = divmod(index, len(fast))
                    return self.stage.of(width, lanes)[fast[choice]], lanes, point_of(front, point)
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
        self.before = merged(firsts, limits.budget)

    def trace(self, reads: Lanes, target: Point) -> tuple[Taken, Lanes, Point]:
        text = next(t for t, steps in self.paths.items() if index_of(steps[0].before.get(reads), target) is not None)
        choices = []
        for step in self.paths[text]:
            choice, reads, target = step.trace(reads, target)
            choices.append(choice)
        return {self.slot.name: (text, tuple(choices))}, reads, target


#: What a join reads at its inputs, and what the branches so far can read of the stream before all.
_Reads = tuple[tuple[Lanes, ...], Lanes | None]


class _JoinStep:
    """A block before what follows it."""

    def __init__(self, block: Join, behind: Fronts, limits: _Limits):
        self.block, self.behind, self.limits = block, behind, limits
        starts: dict[tuple[Lanes, ...], list[Front]] = {}  # by what the join reads
        for lanes, choice in block.choices.choices.items():
            if choice.cycles <= limits.cycles:
                fronts_ = [with_choice(choice, front, limits) for reads, front in behind.items() if lanes in reads]
                starts.setdefault(block.choices.reads(lanes), []).extend(fronts_)
        #: For each branch in turn, by what the join reads and what the branches before it can read, its series.
        self.branches: list[dict[_Reads, _Series]] = []
        found: dict[_Reads, Front] = {}
        for reads, parts in starts.items():
            start = pruned(parts, limits.budget) if parts else None
            if start is not None:
                found[reads, None] = start
        for number, items in enumerate(block.branches):
            branch = {key: _Series(items, {key[0][number]: front}, limits) for key, front in found.items()}
            self.branches.append(branch)
            wholes = [
                ((key[0], common), whole)
                for key, series in branch.items()
                for other, whole in series.before.items()
                if (common := other if key[1] is None else key[1] & other)
            ]
            found = merged(wholes, limits.budget)
        self.before = merged(((common, whole) for (_, common), whole in found.items() if common), limits.budget)

    def trace(self, reads: Lanes, target: Point) -> tuple[Taken, Lanes, Point]:
        for joined in dict.fromkeys(joined for joined, _ in self.branches[-1]):
            taken: Taken = {}
            common: Lanes | None = reads
            left = target
            for branch in reversed(self.branches):
                step = self._trace_branch(branch, joined, common, left)
                if step is None:
                    break
                more, common, left = step
                taken |= more
            else:
                choice, lanes, left = self._trace_sum(joined, left)
                return {**taken, self.block.name: ("", (choice,))}, lanes, left
        raise RuntimeError("a point of the front has no origin")

    @staticmethod
    def _trace_branch(
        branch: dict[_Reads, _Series], joined: tuple[Lanes, ...], reads: Lanes | None, target: Point
    ) -> tuple[Taken, Lanes | None, Point] | None:
        """What led through a branch to a point, what the branches before it can read, and the point behind it."""
        for (sums, common), series in branch.items():
            for other, front in series.before.items():
                both = other if common is None else common & other
                if sums == joined and both == reads and index_of(front, target) is not None:
                    taken, _, point = series.trace(other, target)
                    return taken, common, point
        return None

    def _trace_sum(self, sums: tuple[Lanes, ...], target: Point) -> tuple[Choice, Lanes, Point]:
        for lanes, choice in self.block.choices.choices.items():
            if choice.cycles > self.limits.cycles or self.block.choices.reads(lanes) != sums:
                continue
            for reads, front in self.behind.items():
                index = index_of(with_choice(choice, front, self.limits), target) if lanes in reads else None
                if index is not None:
                    return choice, reads, point_of(front, index)
        raise RuntimeError("a point of the front has no origin")


class _PieceStep:
    """A piece before all others behind it, whatever these read."""

    def __init__(self, piece: Piece, behind: Fronts, limits: _Limits):
        self.piece, self.limits = piece, limits
        whole = pruned(list(behind.values()), limits.budget) if behind else None
        self.behind = {} if whole is None else {piece.made: whole}
        self.inner = _SlotStep(piece.item, self.behind, limits) if isinstance(piece.item, Slot) else None
        found = pruned(parts, limits.budget) if (parts := [front for _, front in self._parts()]) else None
        self.before: Fronts = {} if found is None else {piece.outer: found}

    def _parts(self) -> Iterator[tuple[Lanes | Choice, Front]]:
        """What it can be, with the front of each."""
        item, read = self.piece.item, self.piece.read
        if self.inner is not None:
            yield from ((reads, front) for reads, front in self.inner.before.items() if read[0] <= reads)
        elif isinstance(item, Join):
            for lanes, choice in item.choices.choices.items():
                takes = all(one <= other for one, other in zip(read, item.choices.reads(lanes), strict=True))
                if takes and lanes in self.piece.made and choice.cycles <= self.limits.cycles:
                    yield from ((choice, with_choice(choice, front, self.limits)) for front in self.behind.values())

    def trace(self, reads: Lanes, target: Point) -> tuple[Taken, Lanes, Point]:
        for which, front in self._parts():
            index = index_of(front, target)
            if index is None:
                continue
            if self.inner is not None:
                assert not isinstance(which, Choice)
                taken, _, point = self.inner.trace(which, target)
                return taken, reads, point
            assert isinstance(which, Choice)
            return {self.piece.item.name: ("", (which,))}, reads, point_of(self.behind[self.piece.made], index)
        raise RuntimeError("a point of the front has no origin")


class _Series:
    """Layers and blocks before what follows them."""

    def __init__(self, items: Items, behind: Fronts, limits: _Limits):
        self.steps: list[_SlotStep | _JoinStep | _PieceStep] = []
        #: Where runs of layers from one on can be engines: these.
        self.engines: dict[int, EngineStep] = {}
        befores = [behind]  # of what follows each item, and of the item before
        for number, item in reversed(list(enumerate(items))):
            made = _SlotStep if isinstance(item, Slot) else _JoinStep if isinstance(item, Join) else _PieceStep
            step: Any = made(item, befores[0], limits)  # type: ignore[arg-type]
            self.steps.insert(0, step)
            before = step.before
            runs = [] if limits.engines is None else list(limits.engines.runs(_alone(items[number:])))
            if runs:
                engines = EngineStep(runs, [befores[count - 1] for count, _ in runs], limits.cycles, limits.budget)
                self.engines[number] = engines
                before = merged([*before.items(), *engines.before.items()], limits.budget)
            befores.insert(0, before)
        self.before = befores[0]

    def trace(self, reads: Lanes, target: Point) -> tuple[Taken, Lanes, Point]:
        """What led to a point, and the point behind it all that it was added to."""
        taken: Taken = {}
        number = 0
        while number < len(self.steps):
            step = self.steps[number]
            if index_of(step.before.get(reads), target) is not None:
                more, reads, target = step.trace(reads, target)
                taken, number = taken | more, number + 1
            else:
                choice, count, reads, target = self.engines[number].trace(reads, target)
                taken, number = taken | {choice.stages[0]: ("", (choice,))}, number + count
        return taken, reads, target


def _alone(items: Items) -> list[tuple[str, ...]]:
    """The stages of layers and blocks, by name, before the first that has several paths or stages of several layers."""
    found: list[tuple[str, ...]] = []
    for item in items:
        names = _names(item)
        if names is None:
            break
        found.append(names)
    return found


def _names(item: Slot | Join | Piece) -> tuple[str, ...] | None:
    """The stages of a layer or a block; None where there is a choice among them."""
    if isinstance(item, Slot):
        # Not by the name of its choices' node: equal layers share these.
        return (item.name,) if len(item.paths.get("", ())) == 1 else None
    if isinstance(item, Piece):
        return None
    inner = [_names(one) for branch in item.branches for one in branch]
    if any(names is None for names in inner):
        return None
    return (*(name for names in inner if names is not None for name in names), item.name)


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


def _end(items: Items) -> Fronts:
    """Behind the last: the argmax, which takes words of any width."""
    last = items[-1]
    last = last.item if isinstance(last, Piece) else last
    made = last.choices.made if isinstance(last, Join) else next(iter(last.paths.values()))[-1].made
    return {readable(made, 1): START}


def fronts(items: Items, cycles: int, budget: Budget) -> Fronts:
    """The fronts of a whole network, by the widths that its input words can have; empty when none fits."""
    return _Series(items, _end(items), _Limits(cycles, budget)).before


def solve(items: Items, cycles: int, budget: Budget, engines: Engines | None = None) -> Solution | None:
    """The network of least price that fits the budget, with no stage slower than `cycles`; None when there is none.

    With `engines` among those in which runs of stages are engines too.
    """
    while True:
        series = _Series(items, _end(items), _Limits(cycles, budget, engines))
        if not series.before:
            return None
        reads = min(series.before, key=lambda lanes: float(series.before[lanes].prices(budget).min()))
        front = series.before[reads]
        taken, _, _ = series.trace(reads, point_of(front, int(np.argmin(front.prices(budget)))))
        found = Solution(taken, reads)
        if engines is None or engines.settle(found.choices):
            return found
