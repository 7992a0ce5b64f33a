"""Why no plan fits a device: what is exceeded by how much, the stage that takes most of it, and what would help."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from qtt_hw.graph import Contraction, Graph
from rtl_gen.families import Device, Resources, family_of
from rtl_gen.kinds.choices import readable
from rtl_gen.plan.front import Solution
from rtl_gen.plan.limits import budget_of, shares_of, slowest, usable
from rtl_gen.plan.problem import Problem

__all__ = ["DoesNotFit", "larger_than", "slowest_stage", "too_small"]

#: Beyond this multiple of a device by how much it is too small is not searched to the last percent.
FINE_MULTIPLE = 3.0
#: A tensor train in place of fewer weights saves nothing that is worth its stages.
LEAST_DENSE = 2048


def larger_than(device: Device) -> str:
    """The family's devices that are larger, as an addition to what would help; empty where there are none."""
    known = family_of(device).devices
    names = [d.name for d in known if d.luts is not None and device.luts is not None and d.luts > device.luts]
    return f", or take a larger device ({', '.join(names)})" if names else ""


class DoesNotFit(ValueError):
    """No plan fits the device; the text says by how much, which stage is in the way, and what would help."""


def too_small(
    problem: Problem,
    device: Device,
    reserved: Resources,
    cycles: int,
    wish: str,
    nearest: Solution | None,
    clock_mhz: float,
) -> str:
    """By how much what exceeds the device least does so at so many cycles, where, and what fits instead."""
    closest = _closest(problem, device, reserved, cycles)
    rated, parts = cycles < problem.upper, list[str]()
    slow, dense = set[str | None](), set[str | None]()  # where fewer positions, and where fewer weights, would help
    memories = 0.0
    if closest is None:
        stage, least = slowest_stage(problem)
        reason = f"no folding is that fast: {cycles} cycles are wanted"
        if least > cycles:  # otherwise it is the widths of several stages' words that do not agree at such a speed
            reason += f", stage {stage} takes {least} or more"
            slow = dense = {stage}
    else:
        shares = shares_of(closest.resources + reserved, device)
        over = {name: share for name, share in shares.items() if share > 1}
        share_of = usable(family_of(device))
        most_of = {name: int((getattr(device, name) or 0) * share_of[name]) for name in over}
        reason = ", ".join(f"{name} {share * 100:.0f} % of the usable {most_of[name]}" for name, share in over.items())
        most = {name: _greediest(problem, closest, reserved, name) for name in over}
        counts = (f"{count} {name} in {stage or 'the FIFOs of sums'}" for name, (stage, count) in most.items())
        parts.append(f"the largest parts are {', '.join(counts)}")
        slow = {stage for stage, _ in most.values()} if rated else set()
        dense = slow | {most[name][0] for name in over if name == "brams"}
        memories = over.get("brams", 0.0)
    if nearest is not None:
        rate = clock_mhz * 1e6 / slowest(nearest)
        parts.append(f"the nearest plan that fits takes {slowest(nearest)} cycles, {rate:.0f} frames a second")
    # Where no folding is fast enough on any device, a larger one still holds what this one does not hold at all.
    parts += _larger(problem, reserved, cycles if closest is not None else problem.upper, nearest, closest is not None)
    parts += _other_networks(problem.graph, slow, dense, memories)
    return "; ".join([f"{problem.graph.name}: {wish} does not fit {device.name} ({reason})", *parts])


def _closest(problem: Problem, device: Device, reserved: Resources, cycles: int) -> Solution | None:
    """What fits the least multiple of the device, to within two percent; None when no folding is that fast."""
    closest = problem.solve(cycles, replace(budget_of(device), dsps=None, brams=None, luts=None))
    if closest is None:
        return None
    low, high = 1.0, max(shares_of(closest.resources + reserved, device).values(), default=1.0)
    if high > FINE_MULTIPLE:
        return closest
    while high > low * 1.02:
        middle = math.sqrt(low * high)
        dsps, brams, luts = (b and math.ceil(b * middle) for b in (device.dsps, device.brams, device.luts))
        other = problem.solve(cycles, budget_of(replace(device, dsps=dsps, brams=brams, luts=luts), reserved))
        if other is None:
            low = middle
        else:
            closest, high = other, middle
    return closest


def slowest_stage(problem: Problem) -> tuple[str, int]:
    """The stage that takes most cycles where each has its fastest folding, along the best path; and how many."""
    layers = []
    for slot in problem.slots:
        paths = []
        for text, stages in slot.paths.items():
            names = problem.stages[slot.name, text]
            least = [
                min(
                    int(costs[:, 0].min())
                    for width in stage.widths
                    if len(costs := stage.costs(width, _any(stage.made)))
                )
                for stage in stages
            ]
            paths.append(max(zip(least, names, strict=True)))
        layers.append(min(paths))
    cycles, name = max(layers)
    return name, cycles


def _any(channels: int) -> frozenset[int]:
    """All widths that the words of a stream may have."""
    return readable(channels, 1)


def _greediest(problem: Problem, solution: Solution, reserved: Resources, what: str) -> tuple[str | None, int]:
    """The stage that takes most DSPs, block RAMs or LUTs of a solution, and how many; None for the FIFOs of sums."""
    counts: dict[str | None, int] = {None: getattr(reserved, what)}
    for name, (text, choices) in solution.taken.items():
        for stage, choice in zip(problem.stages.get((name, text), [name]), choices, strict=True):
            counts[stage] = getattr(choice.resources, what)
    most = max(counts, key=lambda name: counts[name])
    return most, counts[most]


def _larger(
    problem: Problem, reserved: Resources, cycles: int, nearest: Solution | None, possible: bool
) -> Iterator[str]:
    """The family's first device that holds a folding of so many cycles, and what that takes of it."""
    if nearest is not None and not possible:
        return
    for larger in problem.family.devices:
        if larger.dsps is None:
            continue
        solution = problem.solve(cycles, budget_of(larger, reserved))
        if solution is not None:
            used = solution.resources + reserved + family_of(larger).overhead
            counts = (f"{getattr(used, name)} of {getattr(larger, name)} {name}" for name in usable(family_of(larger)))
            which = "it" if possible else "even the smallest folding does not fit, which"
            yield f"{which} fits {larger.name}, at {slowest(solution)} cycles or fewer, with {', '.join(counts)}"
            return
    if nearest is None:
        family = f"{problem.family.name} holds it{' without engines' if problem.engines is None else ''}"
        yield f"no known device of the family {family}; --device none plans it without bounds"


def _other_networks(graph: Graph, slow: set[str | None], dense: set[str | None], memories: float) -> Iterator[str]:
    """Changes of the network, before it is trained, that make stages faster or smaller.

    `memories` is how many times the device's block RAM all memories take, where that is too much.
    """
    contractions = [node for node in graph.nodes if isinstance(node, Contraction)]
    sources = [node.source for node in contractions]
    for node in graph.nodes:
        x = graph.input_of(node)
        block, share = (8, "an eighth") if x.shape[0] > 1 else (4, "a quarter")
        full = x.positions >= graph.input.edge.positions >= 2 * block
        if node.name in slow and full and graph.input.block == 1:
            yield f"space to depth, [data] block = 2, leaves {node.name} {share} of its positions"
            break
    replaceable = [
        f"{node.name} ({node.weight.size} weights)"
        for node in contractions[1:]  # of what `qtt compress` takes by itself: convolutions, but the first
        if node.name in dense and node.parts == 1 and sources.count(node.source) == 1
        if node.window.taps > 1 and node.window.kernel != graph.input_of(node).shape[:3]
        if node.weight.size >= LEAST_DENSE
    ]
    if replaceable:
        needed = f"; all memories together have to become {memories:.2g} times smaller" if memories > 1 else ""
        yield f"tensor trains, by qtt compress, can take the place of {' and '.join(replaceable)}{needed}"
