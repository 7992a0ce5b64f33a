"""The stated set of foldings of one stage: everything that the planner chooses among, with what each costs.

For each width that a stage's words can have: results that divide what is made, lanes the fewest that keep up, each kind
of lane that the kind of stage has, and the least ring or one with slack. What a width can be is the kind's own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from amaranth.utils import ceil_log2
from numpy.typing import NDArray

from qtt_hw.graph import Edge
from qtt_hw.window import Window
from rtl_gen.families import Family, Resources
from rtl_gen.geometry import Geometry
from rtl_gen.kinds.spec import Folding, Spec
from rtl_gen.kinds.windowed import RingSpec
from rtl_gen.multiplier import LaneKind
from rtl_gen.topology import compatible

__all__ = ["Choice", "JoinChoices", "Lanes", "StageChoices", "Widths", "divisors", "readable"]

#: How much faster than its producer a stage with a stride should be, so that a volume's end does not stall it.
STRIDED_MARGIN = 1.15
#: The same for a stage whose ring holds no more than its window.
LEAST_RING_MARGIN = 1.25
#: The same for a pointwise stage that holds two positions, not three.
DOUBLE_BUFFER_MARGIN = 1.05
#: A queue so long that no draft is refused for it.
_ENDLESS = 1 << 20


@dataclass(frozen=True)
class Choice:
    """A folding and the cycles between inferences that it can sustain behind a steady producer."""

    folding: Folding
    cycles: int
    resources: Resources


def queue_of(latency: int, result_words: int) -> int:
    """Words of a queue that never keeps a stage of such a latency waiting."""
    return max(16, 1 << ceil_log2(latency + 2 + result_words))


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


#: Widths of a stream's words, in values, that all its readers can take.
Lanes = frozenset[int]


@lru_cache(maxsize=4096)
def readable(channels: int, width: int) -> Lanes:
    """The widths of the words of a stream of so many channels that a reader of words of `width` can take."""
    return frozenset(lanes for lanes in divisors(channels) if compatible(lanes, width))


def _least_lanes(results: int, steps: int, behind: Lanes) -> int | None:
    """Fewest output lanes that keep up, of those that the readers can take."""
    return min((d for d in divisors(results) if results // d <= steps and d in behind), default=None)


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
            waits = math.prod(min(a.stride, a.size) for a in geometry.axes)
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


class Widths(NamedTuple):
    """What belongs to a width of words: parallel inputs and carried indices, numbers of results, steps of a tap."""

    simd: int
    carry: int
    results: Sequence[int]
    steps: int


class StageChoices(ABC):
    """The undominated foldings of a stage with one input, by the width of its words and by those of its readers.

    Parameters
    ----------
    node : Node
    x : Edge
        What it reads.
    stream : int
        Channels of the stream that it reads, which may be another edge's, read with other axes.
    family : Family
    """

    def __init__(self, node: Any, x: Edge, stream: int, family: Family):
        self.node, self.x, self.stream, self.family = node, x, stream, family
        #: Whether its ring may be in memories of one port.
        self.single_ports = False
        #: Widths that a word can have.
        self.widths = self.word_widths()
        #: Cycles with one lane.
        self.serial = max(self.serial_cycles(), 1)
        self._found: dict[tuple[int, Lanes], list[Choice]] = {}
        self._known: dict[tuple[int, int, int, int], list[Choice]] = {}
        self._costs: dict[tuple[int, Lanes], NDArray[np.int64]] = {}

    # The kind's own

    @abstractmethod
    def word_widths(self) -> list[int]:
        """Widths that a word can have; those of `shapes` belong to one simd and carry."""

    @abstractmethod
    def serial_cycles(self) -> int:
        """Steps of one inference with one lane."""

    @abstractmethod
    def shapes(self, width: int) -> Widths:
        """The simd, carry, numbers of results and steps that belong to words of `width` values."""

    def lane_kinds(self) -> Iterable[LaneKind]:
        """How products may be formed."""
        return ("dsp",)

    @abstractmethod
    def spec(self, folding: Folding) -> Spec:
        """The hardware of a folding."""

    def more(self, width: int, behind: Lanes) -> Iterator[tuple[tuple[int, int, int, int], Iterator[Choice]]]:
        """Choices without a ring, each with the key under which they are remembered."""
        return iter(())

    def key(self) -> object:
        """Stages with equal keys, inputs and streams have the same choices."""
        return id(self.node)

    # What the planner asks

    @property
    def made(self) -> int:
        """Channels of its output."""
        return int(self.node.output(self.x).channels)

    def reads(self, width: int) -> Lanes:
        """The widths that the stream which it reads may have."""
        return readable(self.stream, width)

    def of(self, width: int, behind: Lanes) -> list[Choice]:
        """The choices for words of `width` values, when readers of the output can take words of the widths `behind`."""
        if (width, behind) not in self._found:
            self._found[width, behind] = _undominated(list(self._choices(width, behind)))
        return self._found[width, behind]

    def costs(self, width: int, behind: Lanes) -> NDArray[np.int64]:
        """What the choices that `of` returns cost: int64 [choices, (cycles, dsps, brams, luts)]."""
        if (width, behind) not in self._costs:
            rows = [(c.cycles, c.resources.dsps, c.resources.brams, c.resources.luts) for c in self.of(width, behind)]
            self._costs[width, behind] = np.array(rows, dtype=np.int64).reshape(-1, 4)
        return self._costs[width, behind]

    def _choices(self, width: int, behind: Lanes) -> Iterator[Choice]:
        simd, carry, results, steps = self.shapes(width)
        geometry: Geometry | None = None
        for pe in results:
            if geometry is None:
                geometry = self._geometry(width)
            lanes = _least_lanes(pe * carry, geometry.least_taps * steps, behind)
            if lanes is None:
                continue
            key = width, pe, lanes, geometry.least_ring
            if key not in self._known:
                ring = geometry.least_ring
                draft = Folding(simd=simd, pe=pe, carry=carry, lanes=lanes, ring=ring, queue=_ENDLESS)
                self._known[key] = list(self._ringed(geometry, draft))
            yield from self._known[key]
        for key, choices in self.more(width, behind):
            if key not in self._known:
                self._known[key] = list(choices)
            yield from self._known[key]

    def _geometry(self, width: int) -> Geometry:
        return Geometry.of(self.window, self.x.shape, width)

    @property
    def window(self) -> Window:
        """Of the node; stages without one read a position at a time."""
        return getattr(self.node, "window", Window())

    def _ringed(self, geometry: Geometry, draft: Folding) -> Iterator[Choice]:
        """Kinds of lanes and ring sizes for given widths."""
        kinds = [kind for kind in self.lane_kinds() if kind != "packed" or draft.pe % 2 == 0]
        spec = self.spec(draft.model_copy(update={"multiplier": kinds[0]}))
        assert isinstance(spec, RingSpec)
        rings = [(self.family.memory.capacity(words, spec.ring_width), delay) for words, delay in _rings(geometry)]
        for kind in kinds:
            like = self.spec(draft.model_copy(update={"ring": rings[-1][0], "multiplier": kind}))
            for ring, delay in rings:
                yield self.choice(draft.model_copy(update={"ring": ring, "multiplier": kind}), like, delay)
            single = self.family.memory.single_port if self.single_ports else None
            ring, delay = _rings(geometry)[-1]  # the largest, which costs no more there
            if single is not None and single.holds(ring, spec.ring_width):
                update = {"ring": ring, "multiplier": kind, "ports": 1}
                paced = self.spec(draft.model_copy(update=update))
                yield self.choice(draft.model_copy(update=update), paced, delay)

    def choice(self, draft: Folding, like: Any, delay: float) -> Choice:
        """A draft with a queue for the latency of a spec of the same widths, slowed by a factor."""
        folding = draft.model_copy(update={"queue": queue_of(like.latency, like.result_words)})
        spec = self.spec(folding)
        return Choice(folding, int(spec.cycles * delay), spec.resources())


class JoinChoices:
    """The foldings of a stage that joins streams, by its lanes: every divisor of the channels.

    Parameters
    ----------
    foldings : dict of int to Choice
        By lanes.
    streams : tuple of int
        Channels of the streams that are read.
    made : int
        Channels of the output.
    serial : int
        Cycles with one lane.
    """

    def __init__(self, foldings: dict[int, Choice], streams: Sequence[int], made: int, serial: int):
        self.choices, self.streams, self.made, self.serial = foldings, tuple(streams), made, serial

    def reads(self, lanes: int) -> tuple[Lanes, ...]:
        """The widths that each of the streams which it reads may have: no wider ones, whose splitting costs cycles."""
        return tuple(frozenset(w for w in readable(n, lanes) if lanes % w == 0) for n in self.streams)
