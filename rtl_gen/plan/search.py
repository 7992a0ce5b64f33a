"""The search for a folding: the fewest cycles that fit a device, or the least hardware for a frame rate.

For a given number of cycles every stage takes the cheapest folding that is fast enough; a dynamic programme along the
chain accounts for the widths that neighbours must agree on. Costs are shares of the device's budget, each weighted by
how scarce it turned out to be, and the number of cycles is bisected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from amaranth.utils import ceil_log2

from boards.devices import DEVICES, Device
from qtt_hw.ir.graph import Contraction, Edge, Graph, Node, Permutation, Pool, Reshape, Window
from rtl_gen.cycles import Prediction, predict
from rtl_gen.folding import Folding, StageSpec
from rtl_gen.geometry import Geometry
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.plan import Plan, StagePlan
from rtl_gen.plan.resources import Resources, ring_capacity, stage_resources

__all__ = ["plan", "plan_of"]

#: Shares of a device that a plan may use: routing degrades beyond, and the board's link needs room.
USABLE = {"dsps": 1.0, "brams": 0.95, "luts": 0.70}
#: Cells that the argmax, the link and the board's top level take.
OVERHEAD = Resources(dsps=0, brams=1, luts=900)
#: Widest product array of one stage that is considered.
MOST_MULTIPLIERS = 1024
#: A product of a weight of b bits and an input of c bits may be formed in LUTs up to this b * c.
LOGIC_PRODUCT_BITS = 32
#: How much faster than its producer a stage with a stride should be, so that a volume's end does not stall it.
STRIDED_MARGIN = 1.15
#: The same for a stage whose ring holds no more than its window.
LEAST_RING_MARGIN = 1.25
#: Inputs this narrow are always multiplied in LUTs.
NARROW_BITS = 2


@dataclass(frozen=True)
class _Choice:
    """A folding and the cycles between inferences that it can sustain behind a steady producer."""

    folding: Folding
    cycles: int
    resources: Resources


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _least_lanes(pe: int, steps: int, simd_after: int) -> int | None:
    """Fewest output lanes that keep up, of those that the next stage's parallel inputs are a multiple of."""
    fits = [d for d in _divisors(pe) if pe // d <= steps]
    gathered = [d for d in fits if simd_after % d == 0]
    split = [d for d in fits if d % simd_after == 0]
    return min(gathered) if gathered else min(split) if split else None


def _rings(geometry: Geometry) -> list[tuple[int, float]]:
    """Ring sizes worth having, with the factor by which each delays the stage.

    A stage with a stride works only on every stride-th plane and row that arrives. The least ring makes it wait for
    them; a ring with `stride` more planes (rows, positions, for a window that spans no plane or row) lets it work on
    one output plane while the inputs of the next arrive.
    """
    least = geometry.least_ring
    for axis in range(3):
        window = geometry.axes[axis]
        if window.kernel > 1 or window.stride > 1:
            waits = math.prod(a.stride for a in geometry.axes)
            slack = (least + window.stride * geometry.strides[axis], 1.0 if waits == 1 else STRIDED_MARGIN)
            if axis == 2:  # some positions more cost next to nothing
                return [(slack[0] + geometry.words, slack[1])]
            return [(least, max(float(waits), LEAST_RING_MARGIN)), slack]
    return [(least + 2 * geometry.words, 1.0)]


class _Stages:
    """Candidate foldings of every stage, by parallel inputs and by those of the stage behind."""

    def __init__(self, graph: Graph):
        self.nodes = [node for node in graph.nodes if not isinstance(node, Reshape)]
        self.edges = [graph.input_of(node) for node in self.nodes]
        self._cache: dict[tuple[int, int, int], list[_Choice]] = {}

    def simds(self, index: int) -> list[int]:
        if isinstance(self.nodes[index], Permutation):
            return [1]
        return _divisors(self.edges[index].channels)

    def choices(self, index: int, simd: int, simd_after: int) -> list[_Choice]:
        key = (index, simd, simd_after)
        if key not in self._cache:
            self._cache[key] = list(self._candidates(self.nodes[index], self.edges[index], simd, simd_after))
        return self._cache[key]

    def _candidates(self, node: Node, x: Edge, simd: int, simd_after: int) -> Iterator[_Choice]:
        window = node.window if isinstance(node, Contraction | Pool) else Window()
        geometry = Geometry.of(window, x.shape, simd)
        contraction = isinstance(node, Contraction)
        steps = geometry.least_taps * (geometry.words if contraction else 1)
        rings = [
            (ring_capacity(words, simd * x.format.bits), delay) for words, delay in _rings(geometry)
        ]
        out = node.output(x).channels
        kinds: list[LaneKind] = ["dsp"]
        if isinstance(node, Contraction):
            bits = (node.weight_format.bits, x.format.bits)
            if x.format.bits <= NARROW_BITS:
                kinds = ["logic"]
            elif math.prod(bits) <= LOGIC_PRODUCT_BITS:
                kinds = ["dsp", "logic"]
        for pe in _divisors(out) if contraction else [simd]:
            lanes = _least_lanes(pe, steps, simd_after)
            if lanes is None or pe * simd > MOST_MULTIPLIERS:
                continue
            for kind, (ring, delay) in product(kinds, rings):
                draft = Folding(simd=simd, pe=pe, lanes=lanes, ring=ring, queue=1024, multiplier=kind)
                spec = StageSpec(node, x, draft)
                queue = 1 << ceil_log2(spec.latency + 2 + spec.result_words)
                folding = draft.model_copy(update={"queue": max(16, queue)})
                spec = StageSpec(node, x, folding)
                yield _Choice(folding, int(spec.cycles * delay), stage_resources(spec))

    def cheapest(self, cycles: int, weights: tuple[float, float, float]) -> list[_Choice] | None:
        """The chain of least weighted cost in which no stage needs more than `cycles`; None when there is none."""

        def cost(r: Resources) -> float:
            return weights[0] * r.dsps + weights[1] * r.brams + weights[2] * r.luts

        best: dict[int, tuple[float, list[_Choice]]] = {1: (0.0, [])}
        for index in range(len(self.nodes) - 1, -1, -1):
            found: dict[int, tuple[float, list[_Choice]]] = {}
            for simd in self.simds(index):
                for simd_after, (after, chain) in best.items():
                    for choice in self.choices(index, simd, simd_after):
                        if choice.cycles > cycles:
                            continue
                        total = cost(choice.resources) + after
                        if simd not in found or total < found[simd][0]:
                            found[simd] = (total, [choice, *chain])
            best = found
        return min(best.values(), key=lambda item: item[0])[1] if best else None


def _total(chain: Sequence[_Choice]) -> Resources:
    return sum((c.resources for c in chain), OVERHEAD)


def _excess(total: Resources, device: Device) -> dict[str, float]:
    """Share of each budget that is used, relative to what is usable; above 1 does not fit."""
    shares = {}
    for name, usable in USABLE.items():
        budget = getattr(device, name)
        if budget is not None:
            shares[name] = getattr(total, name) / (budget * usable)
    return shares


def _fit(stages: _Stages, device: Device, cycles: int) -> tuple[list[_Choice] | None, dict[str, float]]:
    """A chain within the device at this many cycles: scarce resources grow dearer until it fits or ten tries are up."""
    factors = {"dsps": 1.0, "brams": 1.0, "luts": 1.0}
    best: tuple[float, list[_Choice] | None, dict[str, float]] = (math.inf, None, {})
    for _ in range(10):
        weights = [
            factors[name] / ((getattr(device, name) or {"dsps": 156, "brams": 208, "luts": 83640}[name]) * usable)
            for name, usable in USABLE.items()
        ]
        chain = stages.cheapest(cycles, (weights[0], weights[1], weights[2]))
        if chain is None:
            return None, {}
        shares = _excess(_total(chain), device)
        worst = max(shares.values(), default=0.0)
        if worst <= 1.0:
            return chain, shares
        if worst < best[0]:
            best = (worst, None, shares)
        for name, share in shares.items():
            factors[name] *= max(share, 0.3)
    return None, best[2]


def _on_dsps(stages: _Stages, chain: list[_Choice], device: Device) -> list[_Choice]:
    """Products moved from LUTs to the DSPs that are left, the largest first: faster, and LUTs are for routing."""
    order = sorted(range(len(chain)), key=lambda i: chain[i].resources.luts, reverse=True)
    for index in order:
        node, x, old = stages.nodes[index], stages.edges[index], chain[index]
        if old.folding.multiplier == "dsp" or x.format.bits <= NARROW_BITS:
            continue
        folding = old.folding.model_copy(update={"multiplier": "dsp"})
        spec = StageSpec(node, x, folding)
        trial = [*chain]
        trial[index] = _Choice(folding, old.cycles, stage_resources(spec))
        if max(_excess(_total(trial), device).values(), default=0.0) <= 1.0:
            chain = trial
    return chain


def plan_of(
    graph: Graph, chain: Sequence[Folding], prediction: Prediction, in_lanes: int, device: Device, clock_mhz: float
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
    )


def plan(
    graph: Graph,
    device: Device,
    *,
    fps: float | None = None,
    clock_mhz: float = 100.0,
    progress: Callable[[str], None] | None = None,
) -> Plan:
    """The fastest folding that fits the device, or the cheapest that reaches `fps` frames a second at `clock_mhz`.

    Raises
    ------
    ValueError
        When nothing fits: by how much, and the nearest plan that does.
    """
    stages = _Stages(graph)
    classes = math.prod(graph.output.shape)
    slowest = [max(_serial_cycles(n, x), 1) for n, x in zip(stages.nodes, stages.edges, strict=True)]
    upper = max(slowest)
    if fps is not None:
        wanted = int(clock_mhz * 1e6 / fps)
        wish = f"{fps:g} frames a second at {clock_mhz:g} MHz"
        chain, shares = _fit(stages, device, wanted)
        if chain is None:
            nearest = _fastest(stages, device, upper, progress)
            raise ValueError(_too_small(graph, device, wish, shares, nearest, clock_mhz))
    else:
        chain = _fastest(stages, device, upper, progress)
        if chain is None:
            _, shares = _fit(stages, device, upper)
            raise ValueError(_too_small(graph, device, "the smallest folding", shares, None, clock_mhz))
    in_lanes = chain[0].folding.simd
    if progress is not None:
        progress("predicting cycles")
    chain = _on_dsps(stages, chain, device)
    specs = [StageSpec(n, x, c.folding) for n, x, c in zip(stages.nodes, stages.edges, chain, strict=True)]
    prediction = predict(specs, in_lanes, classes=classes)
    return plan_of(graph, [c.folding for c in chain], prediction, in_lanes, device, clock_mhz)


def _serial_cycles(node: Node, x: Edge) -> int:
    """Cycles of a stage with one lane."""
    if isinstance(node, Contraction):
        return node.macs(x)
    window = node.window if isinstance(node, Pool) else Window()
    return Geometry.of(window, x.shape, 1).total_taps * x.channels


def _fastest(
    stages: _Stages, device: Device, upper: int, progress: Callable[[str], None] | None
) -> list[_Choice] | None:
    """Bisect the cycles, by ratio, to within half a percent."""
    best, _ = _fit(stages, device, upper)
    if best is None:
        return None
    low, high = max(x.positions for x in stages.edges[:1]) // 64 + 1, max(c.cycles for c in best)
    while low < high * 0.995:
        middle = int(math.sqrt(low * high))
        if progress is not None:
            progress(f"between {low} and {high} cycles")
        chain, _ = _fit(stages, device, middle)
        if chain is None:
            low = max(middle, low + 1)
        else:
            best, high = chain, min(middle, max(c.cycles for c in chain))
    return best


def _next_device(stages: _Stages) -> str:
    """The first known device, in the order of their list, that holds the smallest folding, with its cycles."""
    upper = max(_serial_cycles(n, x) for n, x in zip(stages.nodes, stages.edges, strict=True))
    for larger in DEVICES.values():
        chain, _ = _fit(stages, larger, upper)
        if chain is not None:
            return f"it fits {larger.name}, at {max(c.cycles for c in chain)} cycles or fewer"
    return "no known device holds it"


def _too_small(
    graph: Graph, device: Device, wish: str, shares: dict[str, float], nearest: list[_Choice] | None, clock_mhz: float
) -> str:
    over = ", ".join(
        f"{name} {share * 100:.0f} % of the usable {int((getattr(device, name) or 0) * USABLE[name])}"
        for name, share in shares.items()
        if share > 1
    )
    text = f"{graph.name}: {wish} does not fit {device.name} ({over or 'no folding is that fast'})"
    if nearest is None:
        return text + f"; {_next_device(_Stages(graph))}"
    cycles = max(c.cycles for c in nearest)
    return text + f"; the nearest plan that fits takes {cycles} cycles, {clock_mhz * 1e6 / cycles:.0f} frames a second"
