"""The same plan with other lanes for weights of a codebook: what multipliers in place of shifts would cost."""

from __future__ import annotations

from qtt_hw.graph import Graph
from qtt_hw.progress import Progress, silent
from rtl_gen.families import family_named
from rtl_gen.kinds.choices import queue_of
from rtl_gen.kinds.windowed import WindowSpec
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.derive import derived
from rtl_gen.plan.hardware import ordered, stage_specs
from rtl_gen.plan.plan import AnyFolding, Plan, UnitName

__all__ = ["CODE_LANES", "with_lanes"]

#: Kinds of lanes that weights of a codebook can have.
CODE_LANES: tuple[LaneKind, ...] = ("shift", "dsp", "logic")


def with_lanes(graph: Graph, plan: Plan, kind: LaneKind, progress: Progress = silent) -> Plan:
    """The plan with every codebook's products formed by lanes of this kind, and what follows from that.

    Parameters
    ----------
    graph : Graph
        That the plan is for.
    plan : Plan
    kind : "shift", "dsp" or "logic"
        Multipliers take the codes' integers, decoded beside them from the same ROM. Their latencies differ by a few
        cycles, for which queues are as long as they must be.
    progress : Progress
    """
    if kind not in CODE_LANES:
        raise ValueError(f"lanes are one of {', '.join(CODE_LANES)}, got {kind!r}")
    family = family_named(plan.family)
    before = {spec.unit_name: spec for spec in stage_specs(graph, plan.foldings, family)}
    coded = {name for name, spec in before.items() if spec.coded}

    def changed(name: UnitName, folding: AnyFolding) -> AnyFolding:
        return folding.model_copy(update={"multiplier": kind}) if name in coded else folding

    drafts = ordered(graph, {name: changed(name, folding) for name, folding in plan.foldings})
    foldings = []
    for (name, folding), spec in zip(drafts, stage_specs(graph, drafts, family), strict=True):
        if isinstance(spec, WindowSpec) and name in coded:
            was, queue = before[name], queue_of(spec.latency, spec.result_words)
            if isinstance(was, WindowSpec) and folding.queue > queue_of(was.latency, was.result_words):
                queue = max(queue, folding.queue)  # longer by intent
            folding = folding.model_copy(update={"queue": queue})
        foldings.append((name, folding))
    specs = stage_specs(graph, foldings, family)
    return derived(graph, specs, plan.device, plan.clock_mhz, plan.paths, plan.fifo_depths, progress)
