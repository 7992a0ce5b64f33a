"""The search for a folding: the fewest cycles that fit a device, or the least hardware for a frame rate.

For a given number of cycles every stage takes the cheapest folding that is fast enough; a dynamic programme along the
chain accounts for the widths that neighbours must agree on. Costs are shares of the device's budget, each weighted by
how scarce it turned out to be, and the number of cycles is bisected.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from amaranth.utils import ceil_log2
from numpy.typing import NDArray

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


def _least_lanes(results: int, steps: int, width_after: int) -> int | None:
    """Fewest output lanes that keep up, of those that the next stage's words are a multiple of."""
    fits = [d for d in _divisors(results) if results // d <= steps]
    gathered = [d for d in fits if width_after % d == 0]
    split = [d for d in fits if d % width_after == 0]
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


def _undominated(choices: Sequence[_Choice]) -> list[_Choice]:
    """Those that no other one beats or equals in everything; of equal ones the first."""
    found: list[tuple[tuple[int, ...], _Choice]] = []
    costs = [(c.cycles, c.resources.dsps, c.resources.brams, c.resources.luts) for c in choices]
    for cost, choice in sorted(zip(costs, choices, strict=True), key=lambda item: item[0]):
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for other, _ in found):
            found.append((cost, choice))
    return [choice for _, choice in found]


@dataclass(frozen=True)
class _Table:
    """All choices of a stage in rows, ordered by the width of its words and then by that of the stage behind.

    Attributes
    ----------
    choices : list of _Choice, [rows]
    after : integer array, [rows]
        Index of the width behind.
    cycles : integer array, [rows]
    resources : float array, [rows, (dsps, brams, luts)]
    bounds : list of int, [widths + 1]
        First row of each width.
    """

    choices: list[_Choice]
    after: NDArray[np.int64]
    cycles: NDArray[np.int64]
    resources: NDArray[np.float64]
    bounds: list[int]


class _Stages:
    """Candidate foldings of every stage, by the width of its words and by that of the stage behind."""

    def __init__(self, graph: Graph):
        self.nodes = [node for node in graph.nodes if not isinstance(node, Reshape)]
        self.edges = [graph.input_of(node) for node in self.nodes]
        self.widths = [self._widths(node, x) for node, x in zip(self.nodes, self.edges, strict=True)]
        behind = [*self.widths[1:], [1]]
        self.tables = [self._table(index, after) for index, after in enumerate(behind)]

    @staticmethod
    def _widths(node: Node, x: Edge) -> list[int]:
        """Widths that a ring word can have; each belongs to one simd and carry."""
        if isinstance(node, Permutation):
            return [1]
        if isinstance(node, Contraction):
            return [*_divisors(node.trail), *(simd * node.trail for simd in _divisors(node.in_size)[1:])]
        return _divisors(x.channels)

    def _table(self, index: int, behind: Sequence[int]) -> _Table:
        choices: list[_Choice] = []
        after: list[int] = []
        bounds = [0]
        node, x = self.nodes[index], self.edges[index]
        for width in self.widths[index]:
            known: dict[tuple[int, int], list[_Choice]] = {}
            for place, width_after in enumerate(behind):
                kept = _undominated(list(self._choices(node, x, width, width_after, known)))
                choices += kept
                after += [place] * len(kept)
            bounds.append(len(choices))
        costs = [(c.resources.dsps, c.resources.brams, c.resources.luts) for c in choices]
        return _Table(
            choices,
            np.array(after, dtype=np.int64),
            np.array([c.cycles for c in choices], dtype=np.int64),
            np.array(costs, dtype=np.float64).reshape(-1, 3),
            bounds,
        )

    def _choices(
        self, node: Node, x: Edge, width: int, width_after: int, known: dict[tuple[int, int], list[_Choice]]
    ) -> Iterator[_Choice]:
        """The candidates of one width; `known` holds those made for other widths behind, by pe and lanes."""
        simd, carry, results, steps = width, 1, [width], 1
        if isinstance(node, Contraction):
            carry = min(width, node.trail)
            simd = width // carry
            results = _divisors(node.out_size) if carry == node.trail else [1]
            steps = node.in_size // simd
        window = node.window if isinstance(node, Contraction | Pool) else Window()
        geometry = Geometry.of(window, x.shape, width)
        for pe in results:
            lanes = _least_lanes(pe * carry, geometry.least_taps * steps, width_after)
            if lanes is None or (isinstance(node, Contraction) and pe * width > MOST_MULTIPLIERS):
                continue
            if (pe, lanes) not in known:
                draft = Folding(simd=simd, pe=pe, carry=carry, lanes=lanes, ring=geometry.least_ring, queue=1 << 20)
                known[pe, lanes] = list(self._candidates(node, x, geometry, draft))
            yield from known[pe, lanes]

    @staticmethod
    def _candidates(node: Node, x: Edge, geometry: Geometry, draft: Folding) -> Iterator[_Choice]:
        """Kinds of multipliers and ring sizes for given widths."""
        kinds: list[LaneKind] = ["dsp"]
        if isinstance(node, Contraction):
            if x.format.bits <= NARROW_BITS:
                kinds = ["logic"]
            elif node.weight_format.bits * x.format.bits <= LOGIC_PRODUCT_BITS:
                kinds = ["dsp", "logic"]
        spec = StageSpec(node, x, draft)
        queue = max(16, 1 << ceil_log2(spec.latency + 2 + spec.result_words))
        rings = [(ring_capacity(words, spec.ring_width), delay) for words, delay in _rings(geometry)]
        for kind, (ring, delay) in product(kinds, rings):
            folding = draft.model_copy(update={"ring": ring, "queue": queue, "multiplier": kind})
            spec = StageSpec(node, x, folding)
            yield _Choice(folding, int(spec.cycles * delay), stage_resources(spec))

    def cheapest(self, cycles: int, weights: tuple[float, float, float]) -> list[_Choice] | None:
        """The chain of least weighted cost in which no stage needs more than `cycles`; None when there is none."""
        least = np.zeros(1)  # cost of the stages behind, by the width of their first words
        rows: list[list[int]] = []  # the row of each stage, by width
        for table in reversed(self.tables):
            cost = table.resources @ np.array(weights) + least[table.after]
            cost[table.cycles > cycles] = math.inf
            best = [
                first + int(np.argmin(cost[first:last])) if last > first else None
                for first, last in itertools.pairwise(table.bounds)
            ]
            least = np.array([math.inf if row is None else cost[row] for row in best])
            rows.append([row or 0 for row in best])
        width = int(np.argmin(least))
        if math.isinf(least[width]):
            return None
        chain = []
        for table, best_rows in zip(self.tables, reversed(rows), strict=True):
            row = best_rows[width]
            chain.append(table.choices[row])
            width = int(table.after[row])
        return chain


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
    if progress is not None:
        progress("predicting cycles")
    chain = _on_dsps(stages, chain, device)
    specs = [StageSpec(n, x, c.folding) for n, x, c in zip(stages.nodes, stages.edges, chain, strict=True)]
    in_lanes = specs[0].in_width
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
