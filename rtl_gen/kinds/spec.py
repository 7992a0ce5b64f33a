"""What a stage is to the generator, whatever its kind: folding, cost, hardware, and recurrence of cycles.

A kind of stage is a module of this package: a `Spec`, and the `Choices` of foldings that the planner picks from.
`rtl_gen.kinds.KINDS` finds them by the class of the graph's node; nothing else asks what kind a stage is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple

from amaranth.lib import wiring
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from qtt_hw.graph import Edge, Node
from rtl_gen.families import Family, Resources
from rtl_gen.multiplier import LaneKind

__all__ = ["SPARE_WORDS", "Folding", "Kind", "Spec", "Store", "Tap"]

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
    multiplier : "dsp", "packed", "dual", "logic" or "shift"
        How products are formed: one a multiplier; two, in one product or in its halves; in LUTs; or by shifts, which
        need weights of a codebook.
    carry : int
        Parallel carried indices, which share the weights; divides a contraction's `trail`. Or parallel groups.
    ports : int
        Of the ring's memory: 2, or 1, where the family has such memories; a step then takes two cycles.
    unfold : int
        Axes of a contraction's window whose taps are lanes, W first, then H, then D; simd is then all channels and
        taps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    simd: Count
    pe: Count
    lanes: Count
    ring: Count
    queue: Count
    multiplier: LaneKind = "dsp"
    carry: Count = 1
    unfold: Count = 0
    ports: Annotated[int, Field(ge=1, le=2, strict=True)] = 2

    @model_serializer(mode="wrap")
    def _without_two_ports(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As older readers take it: of a ring with two ports nothing is said of them."""
        found: dict[str, Any] = handler(self)
        return {name: value for name, value in found.items() if (name, value) != ("ports", 2)}


class Store(NamedTuple):
    """A memory of a stage.

    Attributes
    ----------
    purpose : str
        What it holds, in a word or two.
    words, width : int
        How many, and bits of each.
    copies : int
        Alike in size, one for each lane.
    shallow : bool
        A queue, which lives in LUTs however deep it is, where there is LUT RAM.
    single : bool
        In memories of one port, which are no block RAMs.
    """

    purpose: str
    words: int
    width: int
    copies: int = 1
    shallow: bool = False
    single: bool = False

    def blocks(self, family: Family) -> int:
        """Block RAMs of all copies; 0 where it lives in LUTs."""
        if self.single:
            return 0
        if self.shallow:
            return self.copies * family.memory.queue(self.words, self.width).brams
        return self.copies * family.memory.blocks(self.words, self.width)


@lru_cache(maxsize=1024)
def _output(node: Node, inputs: tuple[Edge, ...]) -> Edge:
    return node.output(*inputs)


class Tap(NamedTuple):
    """What can be observed of a stage: words of some values each, a number of them an inference."""

    stage: str
    lanes: int
    bits: int
    signed: bool
    words: int


class Spec(ABC):
    """A stage as hardware: the one object that generator, planner and event model read.

    Parameters
    ----------
    node : Node
    inputs : sequence of Edge
        What it reads.
    folding : Folding
    family : Family

    Attributes
    ----------
    out : Edge

    Raises
    ------
    ValueError
        Naming the stage and the choice that does not fit.
    """

    #: Whether it gathers narrow words by itself; otherwise a unit in front of it does.
    gathers: ClassVar[bool] = False
    #: Products formed in a step, the multipliers that form them, all multiplier blocks, and bits of weights in ROM.
    products: int = 0
    multipliers: int = 0
    dsps: int = 0
    rom_bits: int = 0
    #: Whether its weights are codes of a codebook.
    coded: bool = False
    #: Whether it multiplies by weights: then two products can share a multiplier, and axes can be unfolded.
    weighs: ClassVar[bool] = False
    #: Whether its inputs stand in a ring, which may be a memory of one port.
    rings: ClassVar[bool] = False

    def __init__(self, node: Node, inputs: Sequence[Edge], folding: Folding, family: Family):
        self.node, self.inputs, self.folding, self.family = node, tuple(inputs), folding, family
        self.out = _output(node, self.inputs)
        if not self.weighs and (folding.unfold or folding.multiplier != "dsp"):
            raise self.refuse(
                f"it has no weights: unfold {folding.unfold} and lanes of {folding.multiplier} mean nothing"
            )
        if folding.ports == 1 and not self.rings:
            raise self.refuse("its inputs stand in no ring of its own, so that ports mean nothing")
        self.check()

    def refuse(self, reason: str) -> ValueError:
        """The error of a choice that does not fit."""
        return ValueError(f"stage {self.node.name}: {reason}")

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where the folding does not fit."""

    @abstractmethod
    def deepest(self) -> dict[str, int]:
        """Words of the deepest ring and queue that the stage can make use of, by the name of the choice."""

    def check_depths(self) -> None:
        """Raise ValueError where the ring or the queue is deeper than the stage can make use of."""
        for what, most in self.deepest().items():
            words = getattr(self.folding, what)
            if words > most:
                raise self.refuse(f"a {what} of {words} words is more than it can use, {most}")

    @property
    def name(self) -> str:
        """Of the unit, in messages and in the hardware."""
        return self.node.name

    @property
    def unit_name(self) -> str | tuple[str, ...]:
        """What a plan calls it: its stage, or the stages of an engine."""
        return self.node.name

    @property
    def taps(self) -> tuple[Tap, ...]:
        """What it makes: of its one stage, words of its output stream."""
        out = self.out.format
        return (Tap(self.node.name, self.folding.lanes, out.bits, out.signed, self.out_words),)

    @property
    def macs(self) -> int:
        """Multiplications of an inference, by inputs that exist."""
        return self.node.macs(*self.inputs)

    # Words

    @property
    @abstractmethod
    def in_width(self) -> int:
        """Values that a word has at each input."""

    @property
    @abstractmethod
    def in_words(self) -> int:
        """Words of `in_width` values of one inference, at each input."""

    @cached_property
    def word_widths(self) -> tuple[int, int]:
        """Values of a word at each input, and of an output's."""
        return self.in_width, self.folding.lanes

    @property
    def out_words(self) -> int:
        """Output words of one inference."""
        return self.out.positions * self.out.channels // self.folding.lanes

    # Time and cost

    @property
    @abstractmethod
    def cycles(self) -> int:
        """The least number of cycles between two inferences."""

    @property
    @abstractmethod
    def latency(self) -> int:
        """Cycles from the last event that a result waits for to the push of its first word."""

    @abstractmethod
    def parts(self) -> dict[str, Resources]:
        """What each unit costs, by its submodule's path; what stands in none of them under the empty path."""

    def stores(self) -> tuple[Store, ...]:
        """Its memories: all that holds words across cycles but single registers."""
        return (Store("output queue", self.folding.queue, self.folding.lanes * self.out.format.bits, shallow=True),)

    @property
    def single_ports(self) -> int:
        """Memories of one port that it takes."""
        primitive = self.family.memory.single_port
        return 0 if primitive is None else sum(primitive.blocks(s.width) for s in self.stores() if s.single)

    def resources(self) -> Resources:
        """Multipliers and block RAMs exactly, flip-flops and LUTs by what `rtl_gen.costs` says of the stage's units."""
        return self.family.fit.of(sum(self.parts().values(), Resources(dsps=self.dsps)))

    # Hardware and its schedule

    @abstractmethod
    def unit(self, in_lanes: int) -> wiring.Component:
        """The stage as a stream component: inputs `i0` and on, in words of `in_lanes` values, output `o`."""

    @abstractmethod
    def recurrence(self, units: Any, inputs: Sequence[int], output: int, in_lanes: int) -> None:
        """Add the unit's recurrence of cycles to the event model, between links of `rtl_gen.cycles`."""


@dataclass(frozen=True)
class Kind:
    """A kind of stage.

    Attributes
    ----------
    spec : callable of (node, inputs, folding, family)
    choices : callable of (node, inputs, channels of the streams that these are read from, family)
        `rtl_gen.kinds.choices.Choices`: of one input `StageChoices`, of several `JoinChoices`.
    held : callable of (node, input)
        Positions that a stage keeps back before its first output: what the other branch of a sum must wait for.
    """

    spec: Callable[[Any, Sequence[Edge], Folding, Family], Spec]
    choices: Callable[[Any, Sequence[Edge], Sequence[int], Family], Any]
    held: Callable[[Any, Edge], int] = lambda node, x: 0
