"""The search for a plan: the fewest cycles that fit a device, or the least hardware for a frame rate.

For a given number of cycles the Pareto fronts of the chain (`rtl_gen.plan.front`) say whether any folding, along any
of the paths that are free to choose, fits the device's DSPs, block RAMs and LUTs at once; the cycles are bisected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from boards.devices import DEVICES, Device
from qtt_hw.ir.graph import INPUT, Contraction, Edge, Graph, Node, Reshape
from rtl_gen.cycles import Prediction, predict
from rtl_gen.folding import Folding, StageSpec
from rtl_gen.plan.choices import choices_of, never_on_dsps
from rtl_gen.plan.front import Budget, Slot, Solution, solve
from rtl_gen.plan.plan import PathPlan, Plan, StagePlan
from rtl_gen.plan.resources import Resources, stage_resources

__all__ = ["Alternatives", "DoesNotFit", "along", "fits", "plan", "plan_of"]

#: The stages of each path along which a layer can be contracted, by the layer's name and the path's text.
Alternatives = Mapping[str, Mapping[str, Sequence[Node]]]

#: Shares of a device that a plan may use: routing degrades with more LUTs.
USABLE = {"dsps": 1.0, "brams": 1.0, "luts": 0.70}
#: Cells that the argmax, the link and the board's top level take.
OVERHEAD = Resources(dsps=0, brams=1, luts=900)
#: What prices refer to where a device has no bound: the ECP5-85F.
REFERENCE = {"dsps": 156, "brams": 208, "luts": 83640}
#: A stage with one lane and its least ring may be so many times slower than its multiplications.
SLOWEST = 64


class DoesNotFit(ValueError):
    """No plan fits the device; the text says by how much, and the nearest one that does."""


def along(graph: Graph, alternatives: Alternatives, paths: Mapping[str, str]) -> Graph:
    """The graph with layers contracted along other paths, in the order of the chain."""
    nodes: list[Node] = []
    seen: set[str] = set()
    for node in graph.nodes:
        # What brings the input into a layer's order, a reshape or a permutation, stays.
        if node.source not in paths or not isinstance(node, Contraction):
            nodes.append(node)
        elif node.source not in seen:
            seen.add(node.source)
            nodes += alternatives[node.source][paths[node.source]]
    chained, previous = [], INPUT
    for node in nodes:
        chained.append(replace(node, inputs=(previous,)))
        previous = node.name
    return replace(graph, nodes=tuple(chained))


@dataclass(frozen=True)
class _Problem:
    """The slots of a graph, and how its solutions are read."""

    graph: Graph
    alternatives: Alternatives
    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, graph: Graph, alternatives: Alternatives) -> _Problem:
        layers: list[tuple[str, dict[str, Graph]]] = []
        for node in graph.nodes:
            if isinstance(node, Reshape):
                continue
            if node.source not in alternatives or not isinstance(node, Contraction):
                layers.append((node.name, {"": graph}))
            elif layers[-1:] == [] or layers[-1][0] != node.source:
                paths = alternatives[node.source]
                layers.append((node.source, {text: along(graph, alternatives, {node.source: text}) for text in paths}))
        pairs: list[tuple[Node, Edge]] = []
        places: list[tuple[str, dict[str, range]]] = []
        for name, graphs in layers:
            ranges = {}
            for text, one in graphs.items():
                nodes = [n for n in one.nodes if n.name == name]
                if text:
                    nodes = [n for n in one.nodes if n.source == name and isinstance(n, Contraction)]
                ranges[text] = range(len(pairs), len(pairs) + len(nodes))
                pairs += [(node, one.input_of(node)) for node in nodes]
            places.append((name, ranges))
        found = choices_of(pairs)
        slots = [Slot(name, {t: tuple(found[i] for i in r) for t, r in ranges.items()}) for name, ranges in places]
        return cls(graph, alternatives, tuple(slots))

    @property
    def upper(self) -> int:
        """Cycles at which every stage fits with its least hardware."""
        stages = [stage for slot in self.slots for path in slot.paths.values() for stage in path]
        return SLOWEST * max(stage.serial for stage in stages)

    def paths(self, solution: Solution) -> dict[str, str]:
        return {slot.name: text for slot, text in zip(self.slots, solution.paths, strict=True) if text}


def _budget(device: Device) -> Budget:
    """What a plan may use of a device."""
    limits: dict[str, int | None] = {}
    for name, usable in USABLE.items():
        budget = getattr(device, name)
        limits[name] = None if budget is None else math.floor(budget * usable) - getattr(OVERHEAD, name)
    prices = [1.0 / ((getattr(device, name) or REFERENCE[name]) * usable) for name, usable in USABLE.items()]
    return Budget(limits["dsps"], limits["brams"], limits["luts"], (prices[0], prices[1], prices[2]))


def _shares(resources: Resources, device: Device) -> dict[str, float]:
    """Share of each budget that is used, relative to what is usable; above 1 does not fit."""
    total = resources + OVERHEAD
    shares = {}
    for name, usable in USABLE.items():
        budget = getattr(device, name)
        if budget is not None:
            shares[name] = getattr(total, name) / (budget * usable)
    return shares


def _fastest(problem: _Problem, device: Device, progress: Callable[[str], None] | None) -> Solution | None:
    """Bisect the cycles, by ratio, to within half a percent."""
    budget = _budget(device)
    best = solve(problem.slots, problem.upper, budget)
    if best is None:
        return None
    low, high = problem.graph.input.edge.positions // 64 + 1, _slowest(best)
    while low < high * 0.995:
        middle = int(math.sqrt(low * high))
        if progress is not None:
            progress(f"between {low} and {high} cycles")
        found = solve(problem.slots, middle, budget)
        if found is None:
            low = max(middle, low + 1)
        else:
            best, high = found, min(middle, _slowest(found))
    return best


def _slowest(solution: Solution) -> int:
    return max(choice.cycles for slot in solution.choices for choice in slot)


def _on_dsps(graph: Graph, chain: Sequence[Folding], device: Device) -> list[Folding]:
    """Products moved from LUTs to the DSPs that are left, the largest first: faster, and LUTs are for routing."""
    nodes = [node for node in graph.nodes if not isinstance(node, Reshape)]
    edges = [graph.input_of(node) for node in nodes]
    foldings = list(chain)
    costs = [stage_resources(StageSpec(n, x, f)) for n, x, f in zip(nodes, edges, foldings, strict=True)]
    for index in sorted(range(len(nodes)), key=lambda i: costs[i].luts, reverse=True):
        if foldings[index].multiplier != "logic" or never_on_dsps(nodes[index], edges[index]):
            continue
        folding = foldings[index].model_copy(update={"multiplier": "dsp"})
        cost = stage_resources(StageSpec(nodes[index], edges[index], folding))
        trial = [*costs[:index], cost, *costs[index + 1 :]]
        if max(_shares(sum(trial, Resources()), device).values(), default=0.0) <= 1.0:
            foldings[index], costs = folding, trial
    return foldings


def plan_of(
    graph: Graph,
    chain: Sequence[Folding],
    prediction: Prediction,
    in_lanes: int,
    device: Device,
    clock_mhz: float,
    paths: Sequence[PathPlan] = (),
) -> Plan:
    """The plan file's content for the given foldings."""
    nodes = [node for node in graph.nodes if not isinstance(node, Reshape)]
    specs = [StageSpec(n, graph.input_of(n), f) for n, f in zip(nodes, chain, strict=True)]
    each = [stage_resources(s) for s in specs]
    total = sum(each, OVERHEAD)
    slowest = max(specs, key=lambda s: s.cycles)
    return Plan(
        model=graph.name,
        device=device.name,
        clock_mhz=clock_mhz,
        input_lanes=in_lanes,
        cycles=prediction.interval,
        latency=prediction.latency,
        bottleneck=slowest.node.name,
        utilization=round(slowest.cycles / prediction.interval, 6),
        multipliers=sum(s.multipliers for s in specs),
        dsps=total.dsps,
        brams=total.brams,
        luts=total.luts,
        rom_bits=sum(s.rom_bits for s in specs),
        stages=tuple(
            StagePlan(
                stage=s.node.name,
                folding=s.folding,
                cycles=s.cycles,
                multipliers=s.multipliers,
                dsps=r.dsps,
                brams=r.brams,
                luts=r.luts,
                rom_bits=s.rom_bits,
            )
            for s, r in zip(specs, each, strict=True)
        ),
        paths=tuple(paths),
    )


def _path_costs(problem: _Problem, solution: Solution, cycles: int, device: Device) -> list[PathPlan]:
    """What each path of each layer would cost by itself at the plan's number of cycles."""
    free = replace(_budget(device), dsps=None, brams=None, luts=None)
    found = []
    for slot, chosen in zip(problem.slots, solution.paths, strict=True):
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
                    chosen=text == chosen,
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
    problem = _Problem.of(graph, alternatives or {})
    if fps is not None:
        wanted = int(clock_mhz * 1e6 / fps)
        solution = solve(problem.slots, wanted, _budget(device))
        if solution is None:
            wish = f"{fps:g} frames a second at {clock_mhz:g} MHz"
            nearest = _fastest(problem, device, progress)
            raise DoesNotFit(_too_small(problem, device, wanted, wish, nearest, clock_mhz))
    else:
        solution = _fastest(problem, device, progress)
        if solution is None:
            raise DoesNotFit(_too_small(problem, device, problem.upper, "the smallest folding", None, clock_mhz))
        wanted = _slowest(solution)
    chosen = problem.paths(solution)
    graph = along(graph, problem.alternatives, chosen)
    foldings = [choice.folding for slot in solution.choices for choice in slot]
    foldings = _on_dsps(graph, foldings, device)
    nodes = [node for node in graph.nodes if not isinstance(node, Reshape)]
    specs = [StageSpec(n, graph.input_of(n), f) for n, f in zip(nodes, foldings, strict=True)]
    in_lanes = specs[0].in_width

    def predicting(inferences: float) -> None:
        if progress is not None:
            progress(f"predicting cycles: {inferences:.1f} inferences")

    prediction = predict(specs, in_lanes, classes=math.prod(graph.output.shape), progress=predicting)
    costs = _path_costs(problem, solution, wanted, device) if chosen else []
    return plan_of(graph, foldings, prediction, in_lanes, device, clock_mhz, costs)


def fits(graph: Graph, device: Device, alternatives: Alternatives | None = None) -> bool:
    """Whether some folding, along some of the free paths, fits the device, however slow it is."""
    problem = _Problem.of(graph, alternatives or {})
    return solve(problem.slots, problem.upper, _budget(device)) is not None


def _next_device(problem: _Problem) -> str:
    """The first known device, in the order of their list, that holds the smallest folding, with its cycles."""
    for larger in DEVICES.values():
        if larger.dsps is None:
            continue
        found = solve(problem.slots, problem.upper, _budget(larger))
        if found is not None:
            return f"it fits {larger.name}, at {_slowest(found)} cycles or fewer"
    return "no known device holds it; --device none plans it without bounds"


#: Beyond this multiple of a device by how much it is too small is not searched to the last percent.
FINE_MULTIPLE = 3.0


def _closest(problem: _Problem, device: Device, cycles: int) -> Solution | None:
    """What fits the least multiple of the device, to within two percent; None when no folding is that fast."""
    found = solve(problem.slots, cycles, replace(_budget(device), dsps=None, brams=None, luts=None))
    if found is None:
        return None
    low, high = 1.0, max(_shares(found.resources, device).values(), default=1.0)
    if high > FINE_MULTIPLE:
        return found
    while high > low * 1.02:
        middle = math.sqrt(low * high)
        dsps, brams, luts = (b and math.ceil(b * middle) for b in (device.dsps, device.brams, device.luts))
        other = solve(problem.slots, cycles, _budget(replace(device, dsps=dsps, brams=brams, luts=luts)))
        if other is None:
            low = middle
        else:
            found, high = other, middle
    return found


def _too_small(
    problem: _Problem, device: Device, cycles: int, wish: str, nearest: Solution | None, clock_mhz: float
) -> str:
    """By how much the chain that exceeds the device least does so at so many cycles, and what fits instead."""
    closest = _closest(problem, device, cycles)
    shares = {} if closest is None else _shares(closest.resources, device)
    over = ", ".join(
        f"{name} {share * 100:.0f} % of the usable {int((getattr(device, name) or 0) * USABLE[name])}"
        for name, share in shares.items()
        if share > 1
    )
    reason = "no folding is that fast" if closest is None else over
    text = f"{problem.graph.name}: {wish} does not fit {device.name} ({reason})"
    if nearest is None:
        return text + f"; {_next_device(problem)}"
    slowest = _slowest(nearest)
    rate = clock_mhz * 1e6 / slowest
    return text + f"; the nearest plan that fits takes {slowest} cycles, {rate:.0f} frames a second"
