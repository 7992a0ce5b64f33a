"""The stated set of foldings of one stage: everything that the planner chooses among, with what each costs.

Widths are divisors: of a contraction's `trail` (one input a step, so many carried indices), or its whole trail times a
divisor of `in_size`; results are divisors of `out_size`; lanes the fewest that keep up. For each of these: products in
DSPs or, where they are narrow, in LUTs; the least ring or one with slack. Weights of a codebook are shifted in LUTs.
A pool of disjoint windows can also do without a ring, on any lanes. A sum has any divisor of its channels as its lanes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from amaranth.utils import ceil_log2
from numpy.typing import NDArray

from qtt_hw.codebook import Codebook
from qtt_hw.ir.nodes import Add, Contraction, Edge, Node, Permutation, Pool, Window
from rtl_gen.accumulation import are_disjoint
from rtl_gen.add import AddSpec
from rtl_gen.folding import Folding, StageSpec
from rtl_gen.geometry import Geometry
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.resources import Resources, ring_capacity, stage_resources
from rtl_gen.topology import compatible

__all__ = ["Choice", "Lanes", "StageChoices", "SumChoices", "choices_of", "never_on_dsps", "readable"]

#: Widest product array of one stage that is considered.
MOST_MULTIPLIERS = 1024
#: A product of a weight of b bits and an input of c bits may be formed in LUTs up to this b * c.
LOGIC_PRODUCT_BITS = 32
#: How much faster than its producer a stage with a stride should be, so that a volume's end does not stall it.
STRIDED_MARGIN = 1.15
#: The same for a stage whose ring holds no more than its window.
LEAST_RING_MARGIN = 1.25
#: The same for a pointwise stage that holds two positions, not three.
DOUBLE_BUFFER_MARGIN = 1.05
#: Inputs, or weights, this narrow are always multiplied in LUTs: those weights are -1, 0 and 1.
NARROW_BITS = 2


@dataclass(frozen=True)
class Choice:
    """A folding and the cycles between inferences that it can sustain behind a steady producer."""

    folding: Folding
    cycles: int
    resources: Resources


def never_on_dsps(node: Node, x: Edge) -> bool:
    """Whether a stage's products are so simple that a DSP would be wasted on them, idle or not."""
    if not isinstance(node, Contraction):
        return False
    coded = isinstance(node.weight_format, Codebook)
    return coded or x.format.bits <= NARROW_BITS or node.weight_format.bits <= NARROW_BITS


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


#: Widths of a stream's words, in values, that all its readers can take.
Lanes = frozenset[int]


@lru_cache(maxsize=4096)
def readable(channels: int, width: int) -> Lanes:
    """The widths of the words of a stream of so many channels that a reader of words of `width` can take."""
    return frozenset(lanes for lanes in _divisors(channels) if compatible(lanes, width))


def _least_lanes(results: int, steps: int, behind: Lanes) -> int | None:
    """Fewest output lanes that keep up, of those that the readers can take."""
    return min((d for d in _divisors(results) if results // d <= steps and d in behind), default=None)


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
            passed = min(window.stride, window.size)
            slack = (least + passed * geometry.strides[axis], 1.0 if waits == 1 else STRIDED_MARGIN)
            if axis == 2:  # some positions more cost next to nothing
                return [(slack[0] + geometry.words, slack[1])]
            return [(least, max(float(waits), LEAST_RING_MARGIN)), slack]
    # One position is read while the next arrives; with a third there is no bubble between them.
    return [(least + geometry.words, DOUBLE_BUFFER_MARGIN), (least + 2 * geometry.words, 1.0)]


def _undominated(choices: Sequence[Choice]) -> list[Choice]:
    """Those that no other one beats or equals in everything; of equal ones the first."""
    found: list[tuple[tuple[int, ...], Choice]] = []
    costs = [(c.cycles, c.resources.dsps, c.resources.brams, c.resources.luts) for c in choices]
    for cost, choice in sorted(zip(costs, choices, strict=True), key=lambda item: item[0]):
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for other, _ in found):
            found.append((cost, choice))
    return [choice for _, choice in found]


class StageChoices:
    """The undominated foldings of a stage, by the width of its words and by those that its readers can take.

    Parameters
    ----------
    node : Node
    x : Edge
        What it reads.
    stream : int, optional
        Channels of the stream that it reads, where that is another edge's, read with other axes.
    """

    def __init__(self, node: Node, x: Edge, stream: int | None = None):
        self.node, self.x, self.stream = node, x, stream or x.channels
        self.widths = self._widths()
        #: Cycles with one lane.
        self.serial = max(self._serial(), 1)
        self._found: dict[tuple[int, Lanes], list[Choice]] = {}
        self._known: dict[tuple[int, int, int, int], list[Choice]] = {}
        self._costs: dict[tuple[int, Lanes], NDArray[np.int64]] = {}

    def _widths(self) -> list[int]:
        """Widths that a word can have; each belongs to one simd and carry."""
        node = self.node
        if isinstance(node, Permutation):
            return [1]
        if isinstance(node, Contraction):
            return [*_divisors(node.trail), *(simd * node.trail for simd in _divisors(node.in_size)[1:])]
        return _divisors(self.x.channels)

    def _serial(self) -> int:
        if isinstance(self.node, Contraction):
            return self.node.macs(self.x)
        window = self.node.window if isinstance(self.node, Pool) else Window()
        return Geometry.of(window, self.x.shape, 1).total_taps * self.x.channels

    @property
    def made(self) -> int:
        """Channels of its output."""
        return self.node.output(self.x).channels

    def reads(self, width: int) -> Lanes:
        """The widths that the stream which it reads may have."""
        return readable(self.stream, width)

    def of(self, width: int, behind: Lanes) -> list[Choice]:
        """For words of `width` values, when the readers of the output can take words of the widths `behind`."""
        if (width, behind) not in self._found:
            self._found[width, behind] = _undominated(list(self._choices(width, behind)))
        return self._found[width, behind]

    def costs(self, width: int, behind: Lanes) -> NDArray[np.int64]:
        """Of the choices `of` the same widths: [choices, (cycles, dsps, brams, luts)]."""
        if (width, behind) not in self._costs:
            rows = [(c.cycles, c.resources.dsps, c.resources.brams, c.resources.luts) for c in self.of(width, behind)]
            self._costs[width, behind] = np.array(rows, dtype=np.int64).reshape(-1, 4)
        return self._costs[width, behind]

    def _choices(self, width: int, behind: Lanes) -> Iterator[Choice]:
        node, x = self.node, self.x
        simd, carry, results, steps = width, 1, [width], 1
        if isinstance(node, Contraction):
            carry = min(width, node.trail)
            simd = width // carry
            results = _divisors(node.out_size) if carry == node.trail else [1]
            steps = node.in_size // simd
        window = node.window if isinstance(node, Contraction | Pool) else Window()
        geometry = Geometry.of(window, x.shape, width)
        shapes = [
            (pe, _least_lanes(pe * carry, geometry.least_taps * steps, behind), geometry.least_ring) for pe in results
        ]
        if isinstance(node, Pool) and are_disjoint(geometry.axes):
            shapes += [(width, lanes, 0) for lanes in _divisors(width) if lanes in behind]
        for pe, lanes, ring in shapes:
            if lanes is None or (isinstance(node, Contraction) and pe * width > MOST_MULTIPLIERS):
                continue
            key = width, pe, lanes, ring
            if key not in self._known:
                draft = Folding(
                    simd=simd, pe=pe, carry=carry, lanes=lanes, ring=ring, queue=1 << 20, multiplier=self._kinds[0]
                )
                self._known[key] = list(self._candidates(geometry, draft))
            yield from self._known[key]

    @property
    def _kinds(self) -> list[LaneKind]:
        """How its products can be formed."""
        node = self.node
        if isinstance(node, Contraction):
            if isinstance(node.weight_format, Codebook):
                return ["shift"]
            if never_on_dsps(node, self.x):
                return ["logic"]
            if node.weight_format.bits * self.x.format.bits <= LOGIC_PRODUCT_BITS:
                return ["dsp", "logic"]
        return ["dsp"]

    def _candidates(self, geometry: Geometry, draft: Folding) -> Iterator[Choice]:
        """Kinds of multipliers and ring sizes for given widths."""
        node, x = self.node, self.x
        spec = StageSpec(node, x, draft)
        queue = max(16, 1 << ceil_log2(spec.latency + 2 + spec.result_words))
        rings = [(ring_capacity(words, spec.ring_width), delay) for words, delay in _rings(geometry)]
        if spec.accumulates:
            # In the rows that complete results, every stride-th word along W takes a result's output words.
            pace = 1 + (spec.result_words - 1) / geometry.axes[2].stride
            rings = [(0, max(1.0, pace * spec.in_words / spec.cycles))]
        for kind, (ring, delay) in product(self._kinds, rings):
            folding = draft.model_copy(update={"ring": ring, "queue": queue, "multiplier": kind})
            spec = StageSpec(node, x, folding)
            yield Choice(folding, int(spec.cycles * delay), stage_resources(spec))


class SumChoices:
    """The foldings of a sum, by its lanes: every divisor of the channels.

    Parameters
    ----------
    node : Add
    inputs : (Edge, Edge)
    streams : (int, int)
        Channels of the streams that these are read from.
    """

    def __init__(self, node: Add, inputs: tuple[Edge, Edge], streams: tuple[int, int]):
        self.node, self.streams = node, streams
        self.made = inputs[0].channels
        #: Cycles with one lane.
        self.serial = inputs[0].positions * self.made
        self.choices: dict[int, Choice] = {}
        for lanes in _divisors(self.made):
            folding = Folding(simd=lanes, pe=lanes, lanes=lanes, ring=0, queue=16)
            spec = AddSpec(node, inputs, folding)
            self.choices[lanes] = Choice(folding, spec.cycles, stage_resources(spec))

    def reads(self, lanes: int) -> tuple[Lanes, Lanes]:
        """The widths that each of the streams which it reads may have: no wider ones, whose splitting costs cycles."""
        a, b = (frozenset(w for w in readable(n, lanes) if lanes % w == 0) for n in self.streams)
        return a, b


def choices_of(nodes: Sequence[tuple[Node, Edge, int]]) -> list[StageChoices]:
    """The choices of several stages with what they read and the channels of that stream; equal stages share theirs."""
    known: dict[object, StageChoices] = {}
    found = []
    for node, x, stream in nodes:
        key: object = id(node)
        if isinstance(node, Contraction):
            sizes = (node.weight.shape, node.lead, node.trail)
            key = (x, stream, node.window, *sizes, node.weight_format, node.requant, node.accumulator(x))
        if key not in known:
            known[key] = StageChoices(node, x, stream)
        found.append(known[key])
    return found
