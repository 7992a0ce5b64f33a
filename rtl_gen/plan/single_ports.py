"""Which rings stand in memories of one port: there are few, of which the link takes what holds a sample.

A stage with such a ring takes two cycles a step, so that those are worth it which are fast enough all the same. The
search does not count these memories: it may put rings of some stages there, at first of all. Where it took too many,
those stay that save most block RAM for each of them, and it searches again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rtl_gen.kinds import Spec
from rtl_gen.plan.hardware import left_of_link, stage_specs
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.problem import Problem, along

__all__ = ["with_single_ports"]


def with_single_ports(problem: Problem, planned: Callable[[Problem], Plan]) -> Plan | None:
    """A plan with rings in memories of one port, as many as there are; None where that is of no use.

    Parameters
    ----------
    problem : Problem
    planned : callable
        The plan of a problem.
    """
    if problem.family.memory.single_port is None:
        return None
    stages = frozenset(name for names in problem.stages.values() for name in names)
    while stages:
        found = planned(problem.with_single_ports(stages))
        graph = along(problem.graph, problem.alternatives, found.chosen_paths)
        specs = stage_specs(graph, found.foldings, problem.family)
        taken = {spec.name: spec for spec in specs if spec.single_ports}
        stages = _worth_most(taken, left_of_link(graph, specs, found.input_lanes))
        if len(stages) == len(taken):
            return found if taken else None
    return None


def _worth_most(taken: Mapping[str, Spec], left: int) -> frozenset[str]:
    """The stages whose rings save most block RAM for each memory, as far as there are some left."""

    def worth(spec: Spec) -> float:
        blocks = sum(spec.family.memory.blocks(s.words, s.width) for s in spec.stores() if s.single)
        return blocks / spec.single_ports

    found = set()
    for name, spec in sorted(taken.items(), key=lambda item: worth(item[1]), reverse=True):
        if spec.single_ports <= left:
            found.add(name)
            left -= spec.single_ports
    return frozenset(found)
