"""The search for a plan: the fewest cycles that fit a device, or the least hardware for a frame rate.

For a given number of cycles the Pareto fronts of the chain (`rtl_gen.plan.front`) say whether any folding, along any
of the paths that are free to choose, fits the device's DSPs, block RAMs and LUTs at once; the cycles are bisected.

The FIFOs of sums are counted once their depths are known, and with them forks and changes of width, which is when all
else is chosen: what FIFOs are expected to take is kept free beforehand, and where more is taken than there is, the
search is done again with that much kept free.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import partial

from qtt_hw.graph import INPUT, Graph
from qtt_hw.progress import Progress, silent
from rtl_gen.families import Device, Resources, family_of
from rtl_gen.fifo import fifo_resources
from rtl_gen.kinds import kind_of
from rtl_gen.plan.derive import beside_stages, derived
from rtl_gen.plan.engines import Engines
from rtl_gen.plan.front import Slot, Solution, solve
from rtl_gen.plan.hardware import ordered, stage_specs
from rtl_gen.plan.limits import budget_of, shares_of_all, slowest, usable
from rtl_gen.plan.plan import Foldings, PathPlan, Plan, most_cycles
from rtl_gen.plan.problem import Alternatives, Problem, along
from rtl_gen.plan.refusal import DoesNotFit, larger_than, slowest_stage, too_small
from rtl_gen.plan.single_ports import with_single_ports
from rtl_gen.plan.swaps import Swaps
from rtl_gen.plan.trim import Trim, trimmed
from rtl_gen.plan.waits import deepened
from rtl_gen.prediction import number_of

__all__ = [
    "Alternatives",
    "DoesNotFit",
    "along",
    "expected_fifos",
    "fits",
    "least_foldings",
    "plan",
    "planned",
    "with_engines",
]

#: Searches for a plan, each of which leaves room for the FIFOs of the one before.
ATTEMPTS = 4
#: What a FIFO at full rate is deeper than what the windows of the other branch hold back.
FIFO_MARGIN = 1.5


def _fastest(problem: Problem, device: Device, reserved: Resources, progress: Progress) -> Solution | None:
    """Bisect the cycles, by ratio, to within half a percent."""
    budget = budget_of(device, reserved)
    best = problem.solve(problem.upper, budget)
    if best is None:
        return None
    low, high = problem.graph.input.edge.positions // 64 + 1, slowest(best)
    while low < high * 0.995:
        middle = int(math.sqrt(low * high))
        progress("search", text=f"between {low} and {high} cycles")
        solution = problem.solve(middle, budget)
        if solution is None:
            low = max(middle, low + 1)
        else:
            best, high = solution, min(middle, slowest(solution))
    return best


def _path_costs(problem: Problem, solution: Solution, cycles: int, device: Device) -> list[PathPlan]:
    """What each path of each layer would cost by itself at the plan's number of cycles."""
    free = replace(budget_of(device), dsps=None, brams=None, luts=None)
    path_plans = []
    for slot in problem.slots:
        for text, stages in slot.paths.items():
            if not text:
                continue
            macs = bits = 0
            for stage in stages:
                macs += stage.node.macs(stage.x)
                bits += int(stage.node.weight.size) * stage.node.weight_format.bits
            alone = solve((Slot(slot.name, {text: stages}),), cycles, free)
            cost = None if alone is None else alone.resources
            path_plans.append(
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
    return path_plans


def plan(
    graph: Graph,
    device: Device,
    *,
    fps: float | None = None,
    clock_mhz: float = 100.0,
    alternatives: Alternatives | None = None,
    engines: bool = False,
    progress: Progress = silent,
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
    engines : bool
        Whether stages may share arrays (`rtl_gen.plan.engines`).
    progress : Progress

    Raises
    ------
    DoesNotFit
        By how much, and the nearest plan that does.
    """
    progress("search", text="the foldings of every stage")
    problem = Problem.of(graph, alternatives or {}, family_of(device), engines=engines)
    return planned(problem, device, fps=fps, clock_mhz=clock_mhz, progress=progress)


def planned(
    problem: Problem, device: Device, *, fps: float | None, clock_mhz: float, progress: Progress = silent
) -> Plan:
    """`plan` of a problem, which keeps the foldings that it has worked out.

    Engines may wait for their inputs in a way that the search does not foresee, and be made larger for it: a plan
    without them is made as well, and the better one taken. So it is with rings in memories of one port, which there are
    few of.
    """

    def as_is(one: Problem) -> Plan:
        return _planned_as_is(one, device, fps, clock_mhz, progress)

    found, refusal = list[Plan](), None
    for one in (problem,) if problem.engines is None else (problem, replace(problem, engines=None)):
        for way in (as_is, partial(with_single_ports, planned=as_is)):
            try:
                one_more = way(one)
            except DoesNotFit as error:
                refusal = refusal or error
            else:
                found += [] if one_more is None else [one_more]
    if len(found) == 1:
        return found[0]
    if not found:
        assert refusal is not None
        raise refusal
    budget = budget_of(device)
    return min(found, key=lambda p: (p.cycles if fps is None else Fraction(0), budget.price(p.resources)))


def with_engines(
    problem: Problem, device: Device, *, fps: float | None, clock_mhz: float, progress: Progress = silent
) -> Plan | None:
    """A plan whose stages may share arrays, of a problem that does not fit without that; None where it is no help."""
    target = problem.upper if fps is None else most_cycles(clock_mhz, fps)
    if slowest_stage(problem)[1] > target:  # which no array is faster at
        return None
    shared = replace(problem, engines=Engines(problem.graph, problem.family))
    if shared.solve(target, budget_of(device, expected_fifos(shared))) is None:  # sooner known than by how much
        return None
    try:
        return _planned_as_is(shared, device, fps, clock_mhz, progress)
    except DoesNotFit:
        return None


def _planned_as_is(problem: Problem, device: Device, fps: float | None, clock_mhz: float, progress: Progress) -> Plan:
    """A plan with what the problem allows."""
    try:
        return _attempted(problem, device, fps, clock_mhz, progress)
    except DoesNotFit:
        found = None if fps is None else _slowed(problem, device, most_cycles(clock_mhz, fps), clock_mhz, progress)
        if found is None:
            raise
        return found


def _slowed(problem: Problem, device: Device, target: int, clock_mhz: float, progress: Progress) -> Plan | None:
    """The fastest plan made smaller as far as `target` cycles allow; None where it takes more.

    The search reckons with margins, so that it may miss what the fastest plan reaches by the event model.
    """
    try:
        fastest = _attempted(problem, device, None, clock_mhz, progress)
    except DoesNotFit:
        return None
    if fastest.cycles > target:
        return None
    graph = along(problem.graph, problem.alternatives, fastest.chosen_paths)
    foldings = dict(fastest.foldings)
    swaps = Swaps.of(graph, foldings, problem.family, problem.choices(fastest.chosen_paths), problem.engines)
    less = trimmed(Trim(swaps, device, beside_stages(fastest)), foldings, Fraction(target), progress)
    specs = stage_specs(graph, ordered(graph, less), problem.family)
    found = derived(graph, specs, device.name, clock_mhz, fastest.paths, progress=progress)
    return found if found.cycles <= target and _fits(found, device) else fastest


def _attempted(problem: Problem, device: Device, fps: float | None, clock_mhz: float, progress: Progress) -> Plan:
    """What the search finds, done again where FIFOs or flip-flops do not fit, or where stages wait for each other."""
    graph = problem.graph
    reserved = expected_fifos(problem)
    target = None if fps is None else most_cycles(clock_mhz, fps)
    aim, nearest, within = fps, None, device
    for _ in range(ATTEMPTS):
        try:
            found, searched = _planned(problem, within, reserved, aim, target, clock_mhz, progress)
        except DoesNotFit:
            if nearest is None and within is device:
                raise
            break
        shares = shares_of_all(found.resources, device)
        if max(shares.values(), default=0.0) > 1.0:
            beside = beside_stages(found)
            reserved = Resources(brams=max(reserved.brams, beside.brams), luts=max(reserved.luts, beside.luts))
            if shares.get("ffs", 0.0) > 1.0 and within.luts is not None:
                # The search does not count flip-flops. They go with LUTs: of these in proportion fewer may be used.
                fewer = found.luts / shares["ffs"] / usable(problem.family)["luts"]
                within = replace(device, luts=min(within.luts, math.floor(fewer)))
            continue
        if aim is None or fps is None or target is None or found.frames_per_second >= fps:
            return found
        # Stages that wait for each other take longer than the slowest by itself: aim as much higher as what the search
        # found, which has since been exchanged in part.
        nearest = found if nearest is None or found.cycles < nearest.cycles else nearest
        aim *= max(float(max(searched, found.cycles) / target), 1.001)
    if nearest is not None:
        raise DoesNotFit(
            f"{graph.name}: {fps:g} frames a second at {clock_mhz:g} MHz are not reached on {device.name}: the nearest "
            f"plan takes {number_of(nearest.cycles)} cycles, {nearest.frames_per_second:.1f} frames a second; its "
            f"busiest stage is {nearest.bottleneck}; ask for less{larger_than(device)}"
        )
    if shares.get("ffs", 0.0) > 1.0:
        raise DoesNotFit(
            f"{graph.name}: it takes {found.ffs} flip-flops, {device.name} has {device.ffs}; "
            f"ask for less, or use fewer activation bits{larger_than(device)}"
        )
    largest = max(found.fifos, key=lambda fifo: (fifo.brams, fifo.luts), default=None)
    most = (
        ""
        if largest is None
        else (f"; most of it is {largest.brams} block RAMs and {largest.luts} LUTs at {largest.stage}")
    )
    raise DoesNotFit(
        f"{graph.name}: what stands between and before its stages takes {beside.brams} block RAMs and {beside.luts} "
        f"LUTs, which do not fit {device.name} beside its stages{most}; use fewer activation bits{larger_than(device)}"
    )


def _fits(found: Plan, device: Device) -> bool:
    return max(shares_of_all(found.resources, device).values(), default=0.0) <= 1.0


def _planned(
    problem: Problem,
    device: Device,
    reserved: Resources,
    fps: float | None,
    target: int | None,
    clock_mhz: float,
    progress: Progress,
) -> tuple[Plan, Fraction]:
    """A plan for `fps`, or the fastest, whose stages leave `reserved` of the device to the FIFOs.

    It may take `target` cycles, which an `fps` higher than wanted asks for less than. With it comes what it may take:
    more than the target where the foldings that the search found do.
    """
    if fps is not None:
        wanted = most_cycles(clock_mhz, fps)
        solution = problem.solve(wanted, budget_of(device, reserved))
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
    costs = _path_costs(problem, solution, wanted, device) if chosen else []

    def with_foldings(foldings: Foldings) -> Plan:
        specs = stage_specs(graph, ordered(graph, foldings), problem.family)
        return derived(graph, specs, device.name, clock_mhz, costs, progress=progress)

    swaps, foldings, limit = least_foldings(problem, solution, device, reserved, target, progress)
    found = with_foldings(foldings)
    if swaps.topology.fifos and (
        not _fits(found, device) or found.cycles > limit
    ):  # by FIFOs, which are not counted before
        found = with_foldings(problem.foldings(solution))
    return found, limit


def least_foldings(
    problem: Problem,
    solution: Solution,
    device: Device,
    reserved: Resources,
    target: int | None,
    progress: Progress = silent,
) -> tuple[Swaps, Foldings, Fraction]:
    """The foldings of a solution, and no stage larger than the rate needs.

    Parameters
    ----------
    problem : Problem
    solution : Solution
    device : Device
    reserved : Resources
        Of the device, what FIFOs take.
    target : int or None
        Cycles that the network may take on average; if it takes more as found by the search, or without one, those.
    progress : Progress

    Returns
    -------
    swaps : Swaps
    foldings : dict of unit to folding
    limit : Fraction
        The most cycles that the network may take.
    """
    graph = along(problem.graph, problem.alternatives, solution.paths)
    foldings = problem.foldings(solution)
    swaps = Swaps.of(graph, foldings, problem.family, problem.choices(solution.paths), problem.engines)
    trim = Trim(swaps, device, reserved)
    enough = max(spec.cycles for spec in swaps.specs(foldings))  # no deeper buffer makes a network faster
    foldings = deepened(trim, foldings, Fraction(max(enough, target or 0)), progress)
    mean = swaps.mean(swaps.specs(foldings))
    limit = max(Fraction(slowest(solution)) if mean is None else mean, Fraction(target or 0))
    return swaps, trimmed(trim, foldings, limit, progress), limit


def expected_fifos(problem: Problem) -> Resources:
    """About what the FIFOs will take, before foldings and depths are known: what the windows of a branch hold back."""
    graph, total = problem.graph, Resources()
    lag: dict[str, float] = {INPUT: 0.0}  # of a stream behind the network's input, in parts of an inference
    for node in graph.nodes:
        x = graph.input_of(node)
        behind = max(lag[name] for name in node.inputs)
        if len(node.inputs) > 1:
            edges = [graph.edges[name] for name in node.inputs]
            gaps = [(behind - lag[n]) * x.positions * e.channels for n, e in zip(node.inputs, edges, strict=True)]
            for gap, edge in sorted(zip(gaps, edges, strict=True), key=lambda one: one[0])[1:]:  # all but the latest
                total += fifo_resources(max(1, round(gap * FIFO_MARGIN)), edge.format.bits, problem.family)
        lag[node.name] = behind + (0.0 if node.relabels else float(kind_of(node).held(node, x)) / x.positions)
    return total


def fits(graph: Graph, device: Device, alternatives: Alternatives | None = None, cycles: int | None = None) -> bool:
    """Whether some folding, along some of the free paths, fits the device, at so many cycles or however slow it is."""
    problem = Problem.of(graph, alternatives or {}, family_of(device))
    limit = problem.upper if cycles is None else cycles
    return problem.solve(limit, budget_of(device, expected_fifos(problem))) is not None
