"""The search for a plan: the fewest cycles that fit a device, or the least hardware for a frame rate.

For a given number of cycles the Pareto fronts of the chain (`rtl_gen.plan.front`) say whether any folding, along any
of the paths that are free to choose, fits the device's DSPs, block RAMs and LUTs at once; the cycles are bisected.

The FIFOs of sums are counted once their depths are known, and with them forks and changes of width, which is when all
else is chosen: what FIFOs are expected to take is kept free beforehand, and where more is taken than there is, the
search is done again with that much kept free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from boards.devices import Device
from qtt_hw.ir.graph import INPUT, Graph
from qtt_hw.ir.nodes import Add, Contraction, Pool, Reshape
from rtl_gen.folding import Folding
from rtl_gen.geometry import Geometry
from rtl_gen.plan.choices import never_on_dsps
from rtl_gen.plan.derive import beside_stages, derived
from rtl_gen.plan.front import Slot, Solution, solve
from rtl_gen.plan.limits import OVERHEAD, budget_of, shares_of, slowest
from rtl_gen.plan.plan import PathPlan, Plan, most_cycles, spec_of
from rtl_gen.plan.problem import Alternatives, Problem, along
from rtl_gen.plan.refusal import DoesNotFit, larger_than, too_small
from rtl_gen.plan.resources import Resources, fifo_resources, stage_resources
from rtl_gen.prediction import number_of

__all__ = ["Alternatives", "DoesNotFit", "along", "fits", "plan"]

#: Searches for a plan, each of which leaves room for the FIFOs of the one before.
ATTEMPTS = 4
#: What a FIFO at full rate is deeper than what the windows of the other branch hold back.
FIFO_MARGIN = 1.5


def _fastest(
    problem: Problem, device: Device, reserved: Resources, progress: Callable[[str], None] | None
) -> Solution | None:
    """Bisect the cycles, by ratio, to within half a percent."""
    budget = budget_of(device, reserved)
    best = solve(problem.items, problem.upper, budget)
    if best is None:
        return None
    low, high = problem.graph.input.edge.positions // 64 + 1, slowest(best)
    while low < high * 0.995:
        middle = int(math.sqrt(low * high))
        if progress is not None:
            progress(f"search: between {low} and {high} cycles")
        found = solve(problem.items, middle, budget)
        if found is None:
            low = max(middle, low + 1)
        else:
            best, high = found, min(middle, slowest(found))
    return best


def _on_dsps(graph: Graph, foldings: Mapping[str, Folding], device: Device, reserved: Resources) -> dict[str, Folding]:
    """Products moved from LUTs to the DSPs that are left, the largest first: faster, and LUTs are for routing."""
    nodes = {node.name: node for node in graph.nodes}
    found = dict(foldings)
    costs = {name: stage_resources(spec_of(graph, nodes[name], folding)) for name, folding in found.items()}
    for name in sorted(found, key=lambda name: costs[name].luts, reverse=True):
        if found[name].multiplier != "logic" or never_on_dsps(nodes[name], graph.input_of(nodes[name])):
            continue
        folding = found[name].model_copy(update={"multiplier": "dsp"})
        trial = costs | {name: stage_resources(spec_of(graph, nodes[name], folding))}
        if max(shares_of(sum(trial.values(), reserved), device).values(), default=0.0) <= 1.0:
            found[name], costs = folding, trial
    return found


def _path_costs(problem: Problem, solution: Solution, cycles: int, device: Device) -> list[PathPlan]:
    """What each path of each layer would cost by itself at the plan's number of cycles."""
    free = replace(budget_of(device), dsps=None, brams=None, luts=None)
    found = []
    for slot in problem.slots:
        for text, stages in slot.paths.items():
            if not text:
                continue
            macs = bits = 0
            for stage in stages:
                assert isinstance(stage.node, Contraction)
                macs += stage.node.macs(stage.x)
                bits += int(stage.node.weight.size) * stage.node.weight_format.bits
            alone = solve([Slot(slot.name, {text: stages})], cycles, free)
            cost = None if alone is None else alone.resources
            found.append(
                PathPlan(
                    layer=slot.name,
                    path=text,
                    chosen=text == solution.paths[slot.name],
                    multiplications=macs,
                    rom_bits=bits,
                    dsps=None if cost is None else cost.dsps,
                    brams=None if cost is None else cost.brams,
                    luts=None if cost is None else cost.luts,
                )
            )
    return found


def plan(
    graph: Graph,
    device: Device,
    *,
    fps: float | None = None,
    clock_mhz: float = 100.0,
    alternatives: Alternatives | None = None,
    progress: Callable[[str], None] | None = None,
) -> Plan:
    """The fastest plan that fits the device, or the cheapest that reaches `fps` frames a second at `clock_mhz`.

    Parameters
    ----------
    graph : Graph
    device : Device
    fps : float, optional
    clock_mhz : float
    alternatives : mapping, optional
        Layers whose path is free, before training: the plan then names the chosen path of each and what every other
        would cost. Without it only the folding is chosen.
    progress : callable, optional
        Told what is being done, one line at a time.

    Raises
    ------
    DoesNotFit
        By how much, and the nearest plan that does.
    """
    if progress is not None:
        progress("search: the foldings of every stage")
    problem = Problem.of(graph, alternatives or {})
    reserved = _expected_fifos(problem)
    target = None if fps is None else most_cycles(clock_mhz, fps)
    aim, nearest = fps, None
    for _ in range(ATTEMPTS):
        try:
            found = _planned(problem, device, reserved, aim, clock_mhz, progress)
        except DoesNotFit:
            if nearest is None:
                raise
            break
        if max(shares_of(_total(found), device).values(), default=0.0) > 1.0:
            beside = beside_stages(found)
            reserved = Resources(brams=max(reserved.brams, beside.brams), luts=max(reserved.luts, beside.luts))
            continue
        if aim is None or fps is None or target is None or found.frames_per_second >= fps:
            return found
        # Stages that wait for each other take longer than the slowest by itself: aim as much higher.
        nearest = found if nearest is None or found.cycles < nearest.cycles else nearest
        aim *= max(float(found.cycles / target), 1.001)
    if nearest is not None:
        raise DoesNotFit(
            f"{graph.name}: {fps:g} frames a second at {clock_mhz:g} MHz are not reached on {device.name}: the nearest "
            f"plan takes {number_of(nearest.cycles)} cycles, {nearest.frames_per_second:.1f} frames a second; its "
            f"busiest stage is {nearest.bottleneck}; ask for less{larger_than(device)}"
        )
    largest = max(found.fifos, key=lambda fifo: (fifo.brams, fifo.luts))
    raise DoesNotFit(
        f"{graph.name}: what stands between its stages takes {beside.brams} block RAMs and {beside.luts} LUTs, "
        f"which do not fit {device.name} beside its stages; most of it is {largest.brams} block RAMs and "
        f"{largest.luts} LUTs at {largest.stage}; use fewer activation bits{larger_than(device)}"
    )


def _total(found: Plan) -> Resources:
    """What a plan uses beside the overhead."""
    return Resources(found.dsps - OVERHEAD.dsps, found.brams - OVERHEAD.brams, found.luts - OVERHEAD.luts)


def _planned(
    problem: Problem,
    device: Device,
    reserved: Resources,
    fps: float | None,
    clock_mhz: float,
    progress: Callable[[str], None] | None,
) -> Plan:
    """A plan whose stages leave `reserved` of the device to the FIFOs."""
    if fps is not None:
        wanted = most_cycles(clock_mhz, fps)
        solution = solve(problem.items, wanted, budget_of(device, reserved))
        if solution is None:
            wish = f"{fps:g} frames a second at {clock_mhz:g} MHz"
            nearest = _fastest(problem, device, reserved, progress)
            raise DoesNotFit(too_small(problem, device, reserved, wanted, wish, nearest, clock_mhz))
    else:
        solution = _fastest(problem, device, reserved, progress)
        if solution is None:
            wish = "the smallest folding"
            raise DoesNotFit(too_small(problem, device, reserved, problem.upper, wish, None, clock_mhz))
        wanted = slowest(solution)
    chosen = solution.paths
    graph = along(problem.graph, problem.alternatives, chosen)
    foldings = _on_dsps(graph, problem.foldings(solution), device, reserved)
    specs = [spec_of(graph, n, foldings[n.name]) for n in graph.nodes if not isinstance(n, Reshape)]
    costs = _path_costs(problem, solution, wanted, device) if chosen else []
    return derived(graph, specs, device.name, clock_mhz, costs, progress=progress)


def _expected_fifos(problem: Problem) -> Resources:
    """About what the FIFOs will take, before foldings and depths are known: what the windows of a branch hold back."""
    graph, total = problem.graph, Resources()
    lag: dict[str, float] = {INPUT: 0.0}  # of a stream behind the network's input, in parts of an inference
    for node in graph.nodes:
        x = graph.input_of(node)
        behind = max(lag[name] for name in node.inputs)
        if isinstance(node, Contraction | Pool):
            behind += float(Geometry.of(node.window, x.shape, x.channels).needs[0] - 1) / x.positions
        if isinstance(node, Add):
            gap = abs(lag[node.inputs[0]] - lag[node.inputs[1]]) * x.positions * x.channels
            total += fifo_resources(max(1, round(gap * FIFO_MARGIN)), x.format.bits)
        lag[node.name] = behind
    return total


def fits(graph: Graph, device: Device, alternatives: Alternatives | None = None, cycles: int | None = None) -> bool:
    """Whether some folding, along some of the free paths, fits the device, at so many cycles or however slow it is."""
    problem = Problem.of(graph, alternatives or {})
    limit = problem.upper if cycles is None else cycles
    return solve(problem.items, limit, budget_of(device, _expected_fifos(problem))) is not None
