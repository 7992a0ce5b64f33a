"""A plan against its model: everything that follows from the choices in it is computed anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qtt_hw.graph import Graph
from qtt_hw.progress import Progress, silent
from rtl_gen.families import device, family_of
from rtl_gen.plan.derive import derived
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.limits import usable
from rtl_gen.plan.plan import Plan

__all__ = ["verified"]

#: What is estimated, wherever it stands: a plan says what was thought when it was made, and remains one.
ESTIMATES = ("luts", "ffs", "link_luts", "link_ffs")
#: What followed from other latencies before version 3.
TIMES_OF_VERSION_3 = ("version", "predicted", "cycles", "latency", "utilization", "fifos")
#: What the link to the host took before version 4 was another queue.
LINK_OF_VERSION_4 = ("version", "brams")


def verified(graph: Graph, plan: Plan, where: str = "the plan", progress: Progress = silent) -> Plan:
    """The plan of a model with everything derived as it is computed from its choices.

    Choices are the device, its clock, and every stage's folding. The lanes of the input, the FIFOs with their depths,
    all costs and the predicted cycles follow from them. Paths of a plan before training are not the model's any more.

    Parameters
    ----------
    graph : Graph
    plan : Plan
    where : str
        What messages name: the plan's file.
    progress : Progress

    Raises
    ------
    ValueError
        When the plan is of another model, does not fit its stages, or says anything else than what follows, with the
        field and both values; LUTs and flip-flops, which are estimates, are computed anew.
    """
    if plan.model != graph.name:
        raise ValueError(f"{where}: model: it is a plan of {plan.model}, not of {graph.name}")
    specs, _ = hardware_of(graph, plan, where)
    computed = derived(graph, specs, plan.device, plan.clock_mhz, fifos=plan.fifo_depths, progress=progress)
    whole = (
        "paths",
        *(TIMES_OF_VERSION_3 if plan.version < 3 else ()),
        *(LINK_OF_VERSION_4 if plan.version < 4 else ()),
    )
    for field, given, wanted in _differences(plan, computed):
        if field.split(".")[-1] not in ESTIMATES and field.split(".")[0] not in whole:
            raise ValueError(_differs(where, field, given, wanted))
    target = device(plan.device)
    for name in usable(family_of(target)):
        most, taken = getattr(target, name), getattr(computed, name)
        if most is not None and taken > most:
            raise ValueError(
                f"{where}: device: it takes {taken} {name}, {plan.device} has {most}; plan again with qtt plan"
            )
    return computed


def _differs(where: str, field: str, given: object, wanted: object) -> str:
    return f"{where}: {field}: the plan says {given}, of the model it is {wanted}; plan again with qtt plan"


def _differences(plan: Plan, found: Plan) -> Iterator[tuple[str, object, object]]:
    """(field, given, wanted) of whatever is not alike, as the file has it."""
    return _apart("", plan.model_dump(mode="json"), found.model_dump(mode="json"))


def _apart(field: str, given: Any, wanted: Any) -> Iterator[tuple[str, object, object]]:
    if isinstance(given, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*given, *wanted)):
            yield from _apart(f"{field}.{name}".lstrip("."), given.get(name), wanted.get(name))
    elif isinstance(given, list) and all(isinstance(item, dict) for item in (*given, *wanted)):
        names, others = ([item.get("stage", i) for i, item in enumerate(items)] for items in (given, wanted))
        if names != others:
            yield field, names, others
        for name, one, other in zip(names, given, wanted, strict=False):
            yield from _apart(f"{field}.{name}", one, other)
    elif given != wanted:
        yield field, given, wanted
