"""The next smaller and the next larger plan: what a little less hardware costs in rate, and a little more buys."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from qtt_hw.progress import Progress, part_of, silent
from rtl_gen.families import Device, Resources
from rtl_gen.fifo import fifo_resources
from rtl_gen.kinds.choices import LEAST_RING_MARGIN
from rtl_gen.plan.derive import beside_stages
from rtl_gen.plan.front import Solution
from rtl_gen.plan.hardware import ordered, stage_specs
from rtl_gen.plan.limits import budget_of, shares_of, shares_of_all, slowest
from rtl_gen.plan.plan import Plan, rate_of
from rtl_gen.plan.problem import Problem, along
from rtl_gen.plan.search import expected_fifos, least_foldings
from rtl_gen.plan.totals import Budget
from rtl_gen.prediction import Mean

__all__ = ["Neighbour", "Neighbours", "neighbours"]

#: The first step to fewer frames a second that is tried; each one after it is twice as long.
STEP = 1.01
#: Steps, and plans that turn out to be no neighbours, after which the search for one ends.
MOST_STEPS, MOST_PLANS = 10, 16
#: To so much of the cycles the next smaller plan is found, and by so much it is cheaper.
FINE = 1.005
#: The same of the next larger one.
COARSE = 1.02


class Neighbour(BaseModel):
    """A plan beside another on the front of cycles and hardware.

    Attributes
    ----------
    cycles : int or float
        The mean interval by the event model; where there are sums, with FIFOs that lose no cycle.
    frames_per_second : float
        At the plan's clock.
    multipliers, dsps, brams, luts, ffs : int
        As of a plan; FIFOs are counted as the plan has them.
    fits : bool
        Whether the plan's device holds it.
    """

    model_config = ConfigDict(frozen=True)

    cycles: Mean
    frames_per_second: float
    multipliers: int
    dsps: int
    brams: int
    luts: int
    ffs: int
    fits: bool


class Neighbours(BaseModel):
    """What stands beside a plan.

    Attributes
    ----------
    smaller : Neighbour or None
        The fastest plan that takes less of the device; None where nothing does.
    larger : Neighbour or None
        The cheapest plan that is faster: one that fits, where there is one; None where none was found.
    budgets : tuple of "dsps", "brams", "luts" or "ffs"
        Where the larger one does not fit: each by itself keeps the plan from being faster, in that one fits when the
        device has enough of it. Where no single one is enough, all that the larger one exceeds; empty where it fits.
    """

    model_config = ConfigDict(frozen=True)

    smaller: Neighbour | None
    larger: Neighbour | None
    budgets: tuple[str, ...]


def neighbours(problem: Problem, device: Device, plan: Plan, progress: Progress = silent) -> Neighbours:
    """Of a plan for a device, by the search that made it and a few steps of it.

    Parameters
    ----------
    problem : Problem
        That was planned.
    device : Device
    plan : Plan
    progress : Progress
    """
    beside = _Beside(problem, device, plan, progress)
    larger, budgets = beside.larger()
    return Neighbours(smaller=beside.smaller(), larger=larger, budgets=budgets)


@dataclass(frozen=True)
class _Beside:
    problem: Problem
    device: Device
    plan: Plan
    progress: Progress

    @cached_property
    def reserved(self) -> Resources:
        """What is kept free of the device: what the FIFOs and links of the plan take, or were expected to."""
        taken, expected = beside_stages(self.plan), expected_fifos(self.problem)
        return Resources(brams=max(taken.brams, expected.brams), luts=max(taken.luts, expected.luts))

    @cached_property
    def budget(self) -> Budget:
        return budget_of(self.device, self.reserved)

    def _solve(self, cycles: int, budget: Budget) -> Solution | None:
        self.progress("neighbours", text=f"at {cycles} cycles")
        return self.problem.solve(cycles, budget)

    def _finished(self, solution: Solution, cycles: int, *, bounded: bool = True) -> Neighbour | None:
        """A solution as it would be planned; None where its cycles are not known."""
        device = self.device if bounded else replace(self.device, brams=None, luts=None)
        reserved = self.reserved if bounded else Resources()
        told = part_of(self.progress, "neighbours")
        swaps, foldings, _ = least_foldings(self.problem, solution, device, reserved, cycles, told)
        specs = swaps.specs(foldings)
        fifos = sum((fifo_resources(f.depth, f.width, self.problem.family) for f in self.plan.fifos), Resources())
        used = swaps.cost(specs) + fifos
        total = used + self.problem.family.overhead
        mean = swaps.mean(specs)
        if mean is None:
            return None
        return Neighbour(
            cycles=mean,
            frames_per_second=rate_of(self.plan.clock_mhz, mean),
            multipliers=sum(spec.multipliers for spec in specs),
            dsps=total.dsps,
            brams=total.brams,
            luts=total.luts,
            ffs=total.ffs,
            fits=max(shares_of(used, self.device).values(), default=0.0) <= 1.0,
        )

    def _by_itself(self, solution: Solution) -> int:
        """Cycles of the slowest stage, without margins."""
        problem = self.problem
        graph, foldings = along(problem.graph, problem.alternatives, solution.paths), problem.foldings(solution)
        return max(spec.cycles for spec in stage_specs(graph, ordered(graph, foldings), problem.family))

    # More

    def larger(self) -> tuple[Neighbour | None, tuple[str, ...]]:
        """The cheapest plan that is faster, and the budgets that it does not fit."""
        found = self._faster(self.budget, bounded=True)
        if found is not None:
            made = found[0]
            return made, () if made.fits else self._exceeded(made)
        found = self._faster(replace(self.budget, dsps=None, brams=None, luts=None), bounded=False)
        if found is None:
            return None, ()
        made, solution, cycles = found
        if made.fits:
            return made, ()
        names = [name for name in ("dsps", "brams", "luts") if getattr(self.budget, name) is not None]
        alone = tuple(name for name in names if self._solve(cycles, self._without(name)))
        exceeded = tuple(n for n in names if getattr(solution.resources, n) > getattr(self.budget, n))
        return made, alone or exceeded or self._exceeded(made)

    def _exceeded(self, made: Neighbour) -> tuple[str, ...]:
        """What of the device a plan takes more than there is."""
        taken = Resources(made.dsps, made.brams, made.luts, made.ffs)
        return tuple(name for name, share in shares_of_all(taken, self.device).items() if share > 1.0)

    def _without(self, name: str) -> Budget:
        """The budget with one of its limits taken away."""
        limits = {n: None if n == name else getattr(self.budget, n) for n in ("dsps", "brams", "luts")}
        return Budget(limits["dsps"], limits["brams"], limits["luts"], self.budget.prices)

    def _faster(self, budget: Budget, *, bounded: bool) -> tuple[Neighbour, Solution, int] | None:
        """The cheapest plan that is faster by the event model, its solution, and the cycles that were searched for."""
        cycles, target = int(self.plan.cycles * Fraction(LEAST_RING_MARGIN)), math.ceil(self.plan.cycles) - 1
        for _ in range(MOST_PLANS):
            solution = self._solve(cycles, budget)
            if solution is None:
                return None
            if self._by_itself(solution) < self.plan.cycles:
                made = self._finished(solution, target, bounded=bounded)
                if made is not None and made.cycles < self.plan.cycles:
                    return made, solution, cycles
            cycles = min(slowest(solution) - 1, int(cycles / COARSE))
        return None

    # Less

    def smaller(self) -> Neighbour | None:
        low = math.ceil(self.plan.cycles)
        base = self._solve(low, self.budget)
        price = (self._price(self.plan) if base is None else self.budget.price(base.resources)) / FINE
        for _ in range(MOST_PLANS):
            found = self._cheaper(low, price)
            if found is None:
                return None
            solution, cycles = found
            made = self._finished(solution, cycles)
            if made is not None and made.cycles > self.plan.cycles:
                if self._price(made) * FINE < self._price(self.plan):
                    return made
            low, price = cycles, self.budget.price(solution.resources)
        return None

    def _price(self, made: Plan | Neighbour) -> float:
        return self.budget.price(Resources(made.dsps, made.brams, made.luts))

    def _cheaper(self, low: int, price: float) -> tuple[Solution, int] | None:
        """The solution of fewest cycles above `low` whose stages cost less, found by steps and then by halves."""
        step, found, high = STEP, None, low
        for _ in range(MOST_STEPS):
            high = min(int(low * step) + 1, self.problem.upper)
            solution = self._solve(high, self.budget)
            if solution is not None and self.budget.price(solution.resources) < price:
                found = solution
                break
            low, step = high, step**2
        if found is None:
            return None
        while low + 1 < high and low * FINE < high:
            middle = (low + high) // 2
            solution = self._solve(middle, self.budget)
            if solution is not None and self.budget.price(solution.resources) < price:
                found, high = solution, middle
            else:
                low = middle
        return found, high
