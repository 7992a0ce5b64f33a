"""How a stage is folded onto hardware, and everything that follows from it: loop shape, latencies, resources.

`StageSpec` is the one object that the generator and the event model of cycles both read.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Annotated

from amaranth.utils import ceil_log2
from pydantic import BaseModel, ConfigDict, Field

from qtt_hw.codebook import Codebook
from qtt_hw.errors import named
from qtt_hw.fixedpoint import IntArray, Requantizer, average_requantizer, bits_for_range
from qtt_hw.ir.nodes import Contraction, Edge, Node, Permutation, Pool, Window
from rtl_gen.accumulation import ACCUMULATE_LATENCY, Accumulation
from rtl_gen.geometry import Geometry
from rtl_gen.loop_nest import GroupLevel, LoopShape
from rtl_gen.multiplier import MULTIPLY_LATENCY, LaneKind, pieces
from rtl_gen.requantizer import latency_of, multipliers_of
from rtl_gen.sequencer import DATA_LATENCY
from rtl_gen.shifter import integer_bits
from rtl_gen.walker import WalkerShape

__all__ = ["DEEPEST_BLOCK", "SPARE_WORDS", "Folding", "StageSpec"]

#: Words of the deepest block RAM: so much more than it can use may a ring or a FIFO have for the same memory.
DEEPEST_BLOCK = 16384
#: Words that an output queue may have beyond twice those that can be on their way to it.
SPARE_WORDS = 1024

#: A width or a depth; what the stage can use bounds it further.
Count = Annotated[int, Field(ge=-(1 << 40), le=1 << 40, strict=True)]


class Folding(BaseModel):
    """The free choices of one stage.

    Attributes
    ----------
    simd : int
        Parallel inputs of a sum; divides a contraction's `in_size`, a pool's channels.
    pe : int
        Parallel results of one carried index; divides a contraction's `out_size`. A pool has as many as inputs.
    lanes : int
        Parallel outputs of the requantiser; divides pe * carry.
    ring : int
        Words of simd * carry inputs that the buffer holds; 0 accumulates, which a pool of disjoint windows can do.
    queue : int
        Words of `lanes` outputs that the output queue holds.
    multiplier : "dsp", "logic" or "shift"
        How products are formed; lanes that shift need weights of a codebook.
    carry : int
        Parallel carried indices, which share the weights; divides a contraction's `trail`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    simd: Count
    pe: Count
    lanes: Count
    ring: Count
    queue: Count
    multiplier: LaneKind = "dsp"
    carry: Count = 1


@lru_cache(maxsize=1024)
def _output(node: Node, x: Edge) -> Edge:
    return node.output(x)


@lru_cache(maxsize=1024)
def _accumulator(node: Contraction, x: Edge) -> tuple[int, int]:
    return node.accumulator(x)


#: Its tables are shared by the foldings of a width.
_geometry = lru_cache(maxsize=256)(Geometry.of)


class StageSpec:
    """A node, the edge that it reads, and its folding.

    Raises
    ------
    ValueError
        Naming the stage and the choice that does not fit.
    """

    def __init__(self, node: Node, x: Edge, folding: Folding):
        if not isinstance(node, Contraction | Pool | Permutation):
            raise ValueError(f"stage {node.name}: {type(node).__name__} is not a hardware stage")
        self.node, self.x, self.folding = node, x, folding
        self.out = _output(node, x)
        self._check_widths()
        self._check_lanes()
        if self.accumulates:
            self._check_disjoint()
        else:
            self._check_ring()
        if folding.queue < self.result_words:
            raise ValueError(f"stage {node.name}: a queue of {folding.queue} words cannot hold one result")

    def _check_ring(self) -> None:
        folding, name = self.folding, self.node.name
        if folding.ring < self.geometry.least_ring:
            raise ValueError(
                f"stage {name}: a ring of {folding.ring} words is too small, {self.geometry.least_ring} are needed"
            )
        least = self.geometry.least_taps * self.inner
        if least < self.result_words:
            raise ValueError(
                f"stage {name}: {self.result_words} output words per result of {least} steps; "
                f"more lanes than {folding.lanes} are needed"
            )

    def _check_disjoint(self) -> None:
        try:
            self.accumulation  # noqa: B018 - built here, so that a stage that exists has one
        except ValueError as error:
            raise ValueError(
                f"stage {self.node.name}: without a ring, {error}; a ring of {self.geometry.least_ring} words is needed"
            ) from None

    def _check_widths(self) -> None:
        node, folding, name = self.node, self.folding, self.node.name
        totals = (self.x.channels, self.out.channels, 1)
        if isinstance(node, Contraction):
            totals = (node.in_size, node.out_size, node.trail)
        for what, value, total in (
            ("simd", folding.simd, totals[0]),
            ("pe", folding.pe, totals[1]),
            ("carry", folding.carry, totals[2]),
            ("lanes", folding.lanes, self.out_width),
        ):
            if value < 1 or total % value:
                raise ValueError(f"stage {name}: {what} {value} does not divide {total}")
        if isinstance(node, Contraction) and folding.carry < node.trail:
            # A word, and a group of results, must be consecutive channels.
            for what, value in (("simd", folding.simd), ("pe", folding.pe)):
                if value > 1:
                    raise ValueError(f"stage {name}: {what} {value} needs carry {node.trail}, not {folding.carry}")
        if not isinstance(node, Contraction) and folding.pe != folding.simd:
            raise ValueError(f"stage {name}: a pool's pe {folding.pe} must equal its simd {folding.simd}")
        if isinstance(node, Permutation) and folding.simd != 1:
            raise ValueError(f"stage {name}: a permutation moves one channel a cycle, not {folding.simd}")

    def _check_lanes(self) -> None:
        book = self.node.weight_format if isinstance(self.node, Contraction) else None
        if self.folding.multiplier == "shift" and not isinstance(book, Codebook):
            raise ValueError(f"stage {self.node.name}: lanes that shift need weights of a codebook")

    def check_depths(self) -> None:
        """Raise ValueError where the ring or the queue is deeper than the stage can make use of."""
        geometry, folding, name = self.geometry, self.folding, self.node.name
        # A ring holds a window, what its stride passes over, and what of the next inference comes early.
        passed = max(min(a.stride, a.size) * words for a, words in zip(geometry.axes, geometry.strides, strict=True))
        for what, words, most in (
            ("ring", folding.ring, 2 * geometry.volume_words + passed + DEEPEST_BLOCK),
            ("queue", folding.queue, 2 * (self.latency + 2 + self.result_words) + SPARE_WORDS),
        ):
            if words > most:
                raise ValueError(f"stage {name}: a {what} of {words} words is more than it can use, {most}")

    @property
    def window(self) -> Window:
        return self.node.window if isinstance(self.node, Contraction | Pool) else Window()

    @cached_property
    def geometry(self) -> Geometry:
        return _geometry(self.window, self.x.shape, self.in_width)

    @property
    def accumulates(self) -> bool:
        """Whether the stage is a pool that accumulates its windows as words come in, in place of a ring of inputs."""
        return isinstance(self.node, Pool) and self.folding.ring == 0

    @cached_property
    def accumulation(self) -> Accumulation:
        return Accumulation(self.geometry)

    @property
    def in_width(self) -> int:
        """Values in a ring word; value (s, t) of simd and carried index is at s * carry + t."""
        return self.folding.simd * self.folding.carry

    @property
    def out_width(self) -> int:
        """Values in a result, (pe, carried index) with the latter fastest."""
        return self.folding.pe * self.folding.carry

    @property
    def groups(self) -> int:
        """Results per position."""
        return self.out.channels // self.out_width

    @property
    def inner(self) -> int:
        """Steps per valid tap of a result."""
        return self.node.in_size // self.folding.simd if isinstance(self.node, Contraction) else 1

    @cached_property
    def steps(self) -> IntArray:
        """Steps of one result, per output position."""
        return self.geometry.taps * self.inner

    @property
    def cycles(self) -> int:
        """Steps of one inference: the least number of cycles between two."""
        if self.accumulates:
            return self.accumulation.cycles(self.result_words)
        return self.geometry.total_taps * self.inner * self.groups

    @property
    def result_words(self) -> int:
        return self.out_width // self.folding.lanes

    @property
    def out_words(self) -> int:
        """Output words of one inference."""
        return self.out.positions * self.out.channels // self.folding.lanes

    @property
    def in_words(self) -> int:
        """Ring words of one inference."""
        return self.geometry.volume_words

    @cached_property
    def accumulator(self) -> tuple[int, int]:
        """Range of the reducer's result."""
        if isinstance(self.node, Contraction):
            return _accumulator(self.node, self.x)
        fmt = self.x.format
        if isinstance(self.node, Pool) and self.node.kind == "average":
            most = self.window.taps
            return min(fmt.minimum * most, 0), fmt.maximum * most
        return fmt.minimum, fmt.maximum

    @cached_property
    def requant(self) -> Requantizer | None:
        """The stage's requantiser; a maximum and a permutation have none."""
        if isinstance(self.node, Contraction):
            return self.node.requant
        if isinstance(self.node, Pool) and self.node.kind == "average":
            counts = self.accumulation.row_counts if self.accumulates else self.walk.row_counts
            with named(f"stage {self.node.name}"):
                return average_requantizer(self.x.format, tuple(counts))
        return None

    @cached_property
    def walk(self) -> WalkerShape:
        # The run along W, a tap's input words included, is one loop unless its words are unevenly spaced.
        even = not isinstance(self.node, Contraction) or self.node.lead == 1 or self.window.kernel[2] == 1
        return WalkerShape(self.geometry, self.folding.ring, self.inner, even or self.inner == 1)

    @cached_property
    def loop(self) -> LoopShape:
        node, words = self.node, self.geometry.words
        inner_stride, order = words, tuple[int, ...]()
        levels = [GroupLevel(self.groups, 1, 0)]
        if isinstance(node, Contraction):
            trail_words, rom_words = node.trail // self.folding.carry, self.window.taps * self.inner
            inner_stride = words if self.inner == 1 else trail_words
            levels = [
                GroupLevel(trail_words, 1, 0),
                GroupLevel(node.out_size // self.folding.pe, 0, rom_words),
                GroupLevel(node.lead, self.inner * trail_words, 0),
            ]
        elif isinstance(node, Permutation):
            levels, order = [GroupLevel(self.groups, 0, 0)], node.order
        return LoopShape(
            walk=self.walk,
            inner_stride=inner_stride,
            groups=tuple(level for level in levels if level.count > 1),
            order=order,
            rom_depth=self.rom_depth,
            result_words=self.result_words,
            credits=self.folding.queue,
        )

    @property
    def reduce_latency(self) -> int:
        if isinstance(self.node, Contraction):
            return MULTIPLY_LATENCY + ceil_log2(self.folding.simd) + 1
        return 1

    @property
    def latency(self) -> int:
        """Cycles from the issue of a result's last step to the push of its first word.

        Where windows are accumulated, from the cycle in which a result's last word is accepted.
        """
        serial = 0 if self.result_words == 1 else 1
        requant = latency_of(self.requant, *self.accumulator) if self.requant else 0
        reduced = ACCUMULATE_LATENCY if self.accumulates else DATA_LATENCY + self.reduce_latency
        return reduced + serial + requant

    @property
    def products(self) -> int:
        """Products formed in a step."""
        return self.out_width * self.folding.simd if isinstance(self.node, Contraction) else 0

    @property
    def multipliers(self) -> int:
        """Multipliers that form them: none where lanes shift, several DSPs each where weights are wider than one's."""
        if self.folding.multiplier == "shift":
            return 0
        return self.products * (pieces(self.weight_bits) if self.folding.multiplier == "dsp" else 1)

    @property
    def weight_bits(self) -> int:
        """Of a weight's integer, which a codebook's codes stand for; 0 without weights."""
        if not isinstance(self.node, Contraction):
            return 0
        fmt = self.node.weight_format
        return integer_bits(fmt) if isinstance(fmt, Codebook) else fmt.bits

    @property
    def dsps(self) -> int:
        lanes = self.multipliers if self.folding.multiplier == "dsp" else 0
        requant = multipliers_of(self.requant, *self.accumulator) * self.folding.lanes if self.requant else 0
        return lanes + requant

    @property
    def rom_bits(self) -> int:
        if not isinstance(self.node, Contraction):
            return 0
        return int(self.node.weight.size) * self.node.weight_format.bits

    @property
    def rom_depth(self) -> int:
        """Words (out group, kd, kh, kw, input word) of pe x simd weights; 0 without weights."""
        if not isinstance(self.node, Contraction):
            return 0
        return self.node.out_size // self.folding.pe * self.window.taps * self.inner

    @property
    def rom_width(self) -> int:
        if not isinstance(self.node, Contraction):
            return 0
        return self.folding.pe * self.folding.simd * self.node.weight_format.bits

    @property
    def ring_width(self) -> int:
        return self.in_width * self.x.format.bits

    @property
    def open_depth(self) -> int:
        """Words of `out_width` accumulators in the memory of open windows; 0 without one."""
        return self.accumulation.depth if self.accumulates else 0

    @property
    def open_bits(self) -> int:
        """Bits of an accumulator in that memory: no sign where no input has one."""
        if self.requant is None:
            return self.x.format.bits
        return self.accumulator_bits - (not self.x.format.signed)

    @property
    def accumulator_bits(self) -> int:
        return bits_for_range(*self.accumulator)
