"""The same plan with other lanes for weights of a codebook: what multipliers in place of shifts would cost."""

from __future__ import annotations

from typing import get_args

from qtt_hw.graph import Graph
from rtl_gen.families import family_named
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.plan import Plan, stage_specs

__all__ = ["with_lanes"]


def with_lanes(graph: Graph, plan: Plan, kind: LaneKind) -> Plan:
    """The plan with every codebook's products formed by lanes of this kind; it takes the same cycles.

    Parameters
    ----------
    graph : Graph
        That the plan is for.
    plan : Plan
    kind : "shift", "dsp" or "logic"
        Multipliers take the codes' integers, decoded beside them from the same ROM.
    """
    if kind not in get_args(LaneKind):
        raise ValueError(f"lanes are one of {', '.join(get_args(LaneKind))}, got {kind!r}")
    family = family_named(plan.family)
    given = stage_specs(graph, [(stage.stage, stage.folding) for stage in plan.stages], family)
    coded = {spec.node.name for spec in given if spec.coded}
    changed = {
        stage.stage: stage.folding.model_copy(update={"multiplier": kind}) if stage.stage in coded else stage.folding
        for stage in plan.stages
    }
    stages, more = [], {"multipliers": 0, "dsps": 0, "luts": 0, "ffs": 0}
    for spec, stage in zip(stage_specs(graph, list(changed.items()), family), plan.stages, strict=True):
        cost = spec.resources()
        costs = {"multipliers": spec.multipliers, "dsps": cost.dsps, "luts": cost.luts, "ffs": cost.ffs}
        stages.append(stage.model_copy(update={"folding": spec.folding, **costs}))
        for name in more:
            more[name] += costs[name] - getattr(stage, name)
    totals = {name: getattr(plan, name) + count for name, count in more.items()}
    return plan.model_copy(update={"stages": tuple(stages), **totals})
