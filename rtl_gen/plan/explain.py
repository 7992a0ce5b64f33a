"""What a plan is like: occupancy, what sets its rate, why no stage is smaller, and the plans beside it."""

from __future__ import annotations

from fractions import Fraction

from pydantic import BaseModel, ConfigDict

from qtt_hw.progress import Progress, silent
from rtl_gen.families import Device
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.derive import beside_stages
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.neighbours import Neighbours, neighbours
from rtl_gen.plan.occupancy import busy, occupancy
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.problem import Problem, along
from rtl_gen.plan.rate import Limit, limit_of
from rtl_gen.plan.reasons import reason
from rtl_gen.plan.swaps import Swaps
from rtl_gen.plan.trim import Trim

__all__ = ["Explanation", "StageExplanation", "explained"]


class StageExplanation(BaseModel):
    """Of one stage, or engine.

    Attributes
    ----------
    stage : str
        Its name, as of the plan's `units`.
    lanes : int
        Products of a step, however they are formed.
    occupancy : float or None
        Useful products / (lanes x interval) (`rtl_gen.plan.occupancy`); None where nothing multiplies.
    busy : float
        Part of the interval in which it makes a step.
    reason : str or None
        Why it is no smaller; None of a stage that needs the whole interval.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    lanes: int
    occupancy: float | None
    busy: float
    reason: str | None


class Explanation(BaseModel):
    """What follows from a plan, and is printed with it; no file has it.

    Attributes
    ----------
    lanes : int
        Of all stages.
    occupancy : float or None
        Of all lanes; None where nothing multiplies.
    limit : Limit
        What sets the rate.
    stages : tuple of StageExplanation
    neighbours : Neighbours or None
        None where they were not asked for, or lanes are others than the search takes.
    """

    model_config = ConfigDict(frozen=True)

    lanes: int
    occupancy: float | None
    limit: Limit
    stages: tuple[StageExplanation, ...]
    neighbours: Neighbours | None


def explained(
    problem: Problem, device: Device, plan: Plan, *, with_neighbours: bool = True, progress: Progress = silent
) -> Explanation:
    """A plan explained.

    Parameters
    ----------
    problem : Problem
        That was planned, with the paths that were free.
    device : Device
    plan : Plan
    with_neighbours : bool
        Search for the plans beside it too, which takes about as long as the plan did.
    progress : Progress
    """
    progress("explanation", text="what each stage could be instead")
    moved = [stage.stage for stage in plan.stages if stage.folding.ports == 1]
    problem = problem.with_single_ports(moved) if moved else problem
    graph = along(problem.graph, problem.alternatives, plan.chosen_paths)
    specs, topology = hardware_of(graph, plan)
    interval = plan.cycles
    swaps = Swaps.of(graph, dict(plan.foldings), problem.family, problem.choices(plan.chosen_paths), problem.engines)
    trim = Trim(swaps, device, beside_stages(plan))
    stages = []
    for number, spec in enumerate(specs):
        progress("explanation", number, len(specs), text=spec.name)
        stages.append(
            StageExplanation(
                stage=spec.name,
                lanes=spec.products,
                occupancy=_rounded(occupancy([spec], interval)),
                busy=round(float(busy(spec, interval)), 6),
                reason=reason(trim, specs, number, interval),
            )
        )
    limit = limit_of(swaps, specs, plan.input_lanes, topology, interval)
    found = {spec.folding.multiplier for spec in specs if spec.coded}
    of_search: set[LaneKind] = {"shift"}
    beside = neighbours(problem, device, plan, progress) if with_neighbours and found <= of_search else None
    return Explanation(
        lanes=sum(spec.products for spec in specs),
        occupancy=_rounded(occupancy(specs, interval)),
        limit=limit,
        stages=tuple(stages),
        neighbours=beside,
    )


def _rounded(share: Fraction | None) -> float | None:
    return None if share is None else round(float(share), 6)
