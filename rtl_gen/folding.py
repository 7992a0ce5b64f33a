"""How a stage is folded onto hardware, and everything that follows from it: loop shape, latencies, resources.

`StageSpec` is the one object that the generator and the event model of cycles both read.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Literal

from amaranth.utils import ceil_log2
from pydantic import BaseModel, ConfigDict

from qtt_hw.fixedpoint import Requantizer, average_requantizer, bits_for_range
from qtt_hw.ir.graph import Contraction, Edge, Node, Permutation, Pool, Window
from rtl_gen.geometry import Geometry
from rtl_gen.multiplier import MULTIPLY_LATENCY
from rtl_gen.requantizer import latency_of, multipliers_of
from rtl_gen.sequencer import DATA_LATENCY, LoopShape
from rtl_gen.walker import WalkerShape

__all__ = ["Folding", "StageSpec"]


class Folding(BaseModel):
    """The free choices of one stage.

    Attributes
    ----------
    simd : int
        Parallel inputs; divides the input channels.
    pe : int
        Parallel results; divides the output channels. A pool has as many as inputs.
    lanes : int
        Parallel outputs of the requantiser; divides `pe`.
    ring : int
        Words of `simd` inputs that the buffer holds.
    queue : int
        Words of `lanes` outputs that the output queue holds.
    multiplier : "dsp" or "logic"
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    simd: int
    pe: int
    lanes: int
    ring: int
    queue: int
    multiplier: Literal["dsp", "logic"] = "dsp"


@lru_cache(maxsize=1024)
def _output(node: Node, x: Edge) -> Edge:
    return node.output(x)


@lru_cache(maxsize=1024)
def _accumulator(node: Contraction, x: Edge) -> tuple[int, int]:
    return node.accumulator(x)


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
        if isinstance(node, Contraction) and node.carried > 1:
            raise ValueError(f"stage {node.name}: carries modes along, which has no datapath yet; use a dense layer")
        self.node, self.x, self.folding = node, x, folding
        self.out = _output(node, x)
        for what, value, total in (
            ("simd", folding.simd, x.channels),
            ("pe", folding.pe, self.out.channels),
            ("lanes", folding.lanes, folding.pe),
        ):
            if value < 1 or total % value:
                raise ValueError(f"stage {node.name}: {what} {value} does not divide {total}")
        if not isinstance(node, Contraction) and folding.pe != folding.simd:
            raise ValueError(f"stage {node.name}: a pool's pe {folding.pe} must equal its simd {folding.simd}")
        if isinstance(node, Permutation) and folding.simd != 1:
            raise ValueError(f"stage {node.name}: a permutation moves one channel a cycle, not {folding.simd}")
        if folding.ring < self.geometry.least_ring:
            raise ValueError(
                f"stage {node.name}: a ring of {folding.ring} words is too small, {self.geometry.least_ring} are needed"
            )
        least = self.geometry.least_taps * self.inner
        if least < self.result_words:
            raise ValueError(
                f"stage {node.name}: {self.result_words} output words per result of {least} steps; "
                f"more lanes than {folding.lanes} are needed"
            )
        if folding.queue < self.result_words:
            raise ValueError(f"stage {node.name}: a queue of {folding.queue} words cannot hold one result")

    @property
    def window(self) -> Window:
        return self.node.window if isinstance(self.node, Contraction | Pool) else Window()

    @cached_property
    def geometry(self) -> Geometry:
        return Geometry.of(self.window, self.x.shape, self.folding.simd)

    @property
    def in_width(self) -> int:
        """Values in a ring word."""
        return self.folding.simd

    @property
    def groups(self) -> int:
        """Results per position."""
        return self.out.channels // self.folding.pe

    @property
    def inner(self) -> int:
        """Steps per valid tap of a result."""
        return self.geometry.words if isinstance(self.node, Contraction) else 1

    @cached_property
    def steps(self) -> list[int]:
        """Steps of one result, per output position."""
        return [taps * self.inner for taps in self.geometry.taps]

    @property
    def cycles(self) -> int:
        """Steps of one inference: the least number of cycles between two."""
        return self.geometry.total_taps * self.inner * self.groups

    @property
    def result_words(self) -> int:
        return self.folding.pe // self.folding.lanes

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
            return average_requantizer(self.x.format, tuple(self.walk.row_counts))
        return None

    @cached_property
    def walk(self) -> WalkerShape:
        return WalkerShape(self.geometry, self.folding.ring, self.inner)

    @cached_property
    def loop(self) -> LoopShape:
        if isinstance(self.node, Contraction):
            offsets = (0,) * self.groups
        elif isinstance(self.node, Permutation):
            offsets = self.node.order
        else:
            offsets = tuple(range(self.groups))
        contraction = isinstance(self.node, Contraction)
        return LoopShape(
            walk=self.walk,
            groups=self.groups,
            inner_stride=1 if contraction else self.geometry.words,
            group_offsets=offsets,
            rom_words=self.window.taps * self.inner if contraction else 0,
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
        """Cycles from the issue of a result's last step to the push of its first word."""
        serial = 0 if self.result_words == 1 else 1
        requant = latency_of(self.requant, *self.accumulator) if self.requant else 0
        return DATA_LATENCY + self.reduce_latency + serial + requant

    @property
    def multipliers(self) -> int:
        """Products formed in a step."""
        return self.folding.pe * self.folding.simd if isinstance(self.node, Contraction) else 0

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
        return self.loop.rom_words * self.groups

    @property
    def rom_width(self) -> int:
        return self.multipliers * self.node.weight_format.bits if isinstance(self.node, Contraction) else 0

    @property
    def ring_width(self) -> int:
        return self.folding.simd * self.x.format.bits

    @property
    def accumulator_bits(self) -> int:
        return bits_for_range(*self.accumulator)

