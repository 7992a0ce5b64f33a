"""Engines in the Pareto fronts: a run of layers as one, before what follows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rtl_gen.kinds.choices import Lanes
from rtl_gen.plan.engines import EngineChoice, EngineChoices
from rtl_gen.plan.totals import Budget, Front, Point, added, extended, index_of, merged, point_of

__all__ = ["EngineStep"]


class EngineStep:
    """All engines that begin with a layer.

    Parameters
    ----------
    runs : sequence of (int, EngineChoices)
        Layers, and the engines that they can be.
    behind : sequence of mapping of Lanes to Front
        Of each run, the fronts of what follows it.
    cycles : int
    budget : Budget
    """

    def __init__(
        self,
        runs: Sequence[tuple[int, EngineChoices]],
        behind: Sequence[dict[Lanes, Front]],
        cycles: int,
        budget: Budget,
    ):
        self.runs, self.behind, self.cycles, self.budget = runs, behind, cycles, budget
        found = []
        for width in dict.fromkeys(width for _, choices in runs for width in choices.widths):
            parts = [(front, costs) for _, _, front, costs in self._parts(width)]
            whole = extended(parts, budget) if parts else None
            if whole is not None:
                found.append((runs[0][1].reads(width), whole))
        self.before = merged(found, budget)

    def _parts(self, width: int) -> Iterator[tuple[int, Lanes, Front, NDArray[np.int64]]]:
        """Of every run, by the widths that can be read behind it: the front there, and the costs of engines."""
        for number, (_, choices) in enumerate(self.runs):
            if width not in choices.widths:
                continue
            for lanes, front in self.behind[number].items():
                costs = choices.costs(width, lanes, self.cycles)
                if len(costs):
                    yield number, lanes, front, costs

    def trace(self, reads: Lanes, target: Point) -> tuple[EngineChoice, int, Lanes, Point]:
        """The engine that led to a point, how many layers it is, and the point behind it that it was added to."""
        for width in dict.fromkeys(width for _, choices in self.runs for width in choices.widths):
            if self.runs[0][1].reads(width) != reads:
                continue
            for number, lanes, front, costs in self._parts(width):
                index = index_of(added(front, costs, self.budget), target)
                if index is not None:
                    count, choices = self.runs[number]
                    point, choice = divmod(index, len(costs))
                    return choices.of(width, lanes, self.cycles)[choice], count, lanes, point_of(front, point)
        raise RuntimeError("a point of the front has no origin")
