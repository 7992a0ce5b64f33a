"""The formats of an engine: wide enough for all of its stages, whatever its folding."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, lru_cache

from amaranth.hdl import Shape

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, bits_for_range
from qtt_hw.graph import Contraction
from rtl_gen.engine.requantizer import Scaling, scaling_of
from rtl_gen.engine.schedule import OUTSIDE
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.summation import Sums, sums_of
from rtl_gen.families import Family
from rtl_gen.multiplier import share_blocks
from rtl_gen.packing import Packing, packing_of
from rtl_gen.shifter import integer_bits

__all__ = ["MOST_BITS", "Numbers", "numbers_of"]

#: Of an activation that an engine keeps.
MOST_BITS = 8


class Numbers:
    """What the values of a segment's stages have in common.

    Parameters
    ----------
    segment : Segment
    family : Family

    Raises
    ------
    ValueError
        Naming a stage whose weights or activations do not go with the others'.
    """

    def __init__(self, segment: Segment, family: Family):
        self.segment, self.family = segment, family
        first = segment.stages[0].node
        for stage in segment.stages:
            if not _same_codes(stage.node, first):
                raise ValueError(f"stage {stage.node.name}: an engine's weights are codes of one codebook, or none are")
            read = [(stage.source, stage.x), *([] if stage.sum is None else [(stage.sum.source, stage.sum.x)])]
            if any(source != OUTSIDE and x.format.bits > MOST_BITS for source, x in read):
                raise ValueError(f"stage {stage.node.name}: an engine's activations have at most {MOST_BITS} bits")

    @cached_property
    def inner_bits(self) -> int:
        """Of an activation that the engine keeps."""
        return max((stage.made.format.bits for stage in self.segment.stages[:-1]), default=1)

    @cached_property
    def x_format(self) -> Format:
        """Of the array's inputs: all stages' fit it."""
        formats = [x.format for x in self.segment.edges]
        bits = max(f.bits + (not f.signed and any(g.signed for g in formats)) for f in formats)
        return Format(bits, any(f.signed for f in formats), 0)

    @property
    def coded(self) -> bool:
        """Whether weights are codes of a codebook."""
        return isinstance(self.segment.nodes[0].weight_format, Codebook)

    @cached_property
    def weight_format(self) -> Format | Codebook:
        first = self.segment.nodes[0].weight_format
        if isinstance(first, Codebook):
            return first
        return Format(max(node.weight_format.bits for node in self.segment.nodes), True, 0, narrow=True)

    @property
    def weight_bits(self) -> int:
        """Of an integer that weights are, or that their codes stand for."""
        weight = self.weight_format
        return integer_bits(weight) if isinstance(weight, Codebook) else weight.bits

    @cached_property
    def accumulator_bits(self) -> int:
        ranges = [stage.accumulator for stage in self.segment.stages]
        return bits_for_range(min(low for low, _ in ranges), max(high for _, high in ranges))

    @cached_property
    def packing(self) -> Packing | None:
        """How two products share a multiplier, where they can."""
        return packing_of(self.x_format, self.weight_format, self.family.multiplier.bits)

    @property
    def share_blocks(self) -> bool:
        """Whether two products can share a block that is two multipliers."""
        return share_blocks(self.x_format, self.weight_format, self.family)

    @cached_property
    def scaling(self) -> Scaling:
        return scaling_of([(node.requant, node.out_size) for node in self.segment.nodes], self.family)

    @cached_property
    def sums(self) -> Sums | None:
        """None where nothing is added."""
        read = [stage.sum for stage in self.segment.stages if stage.sum is not None]
        bits = [one.x.format.bits if one.source == OUTSIDE else self.inner_bits for one in read]
        return sums_of(self.segment.stages, self.scaling.shape, max(bits, default=1))

    @property
    def result_shape(self) -> Shape:
        """Of what leaves the requantiser and the sum behind it."""
        return self.scaling.shape if self.sums is None else self.sums.shape


@lru_cache(maxsize=4096)
def numbers_of(segment: Segment, family: Family) -> Numbers:
    """The numbers of a segment, worked out once for all of its foldings."""
    return Numbers(segment, family)


def _same_codes(one: Contraction, other: Contraction) -> bool:
    """Whether both have weights of a codebook that only its scale may tell apart, or neither has."""
    books = [node.weight_format for node in (one, other)]
    if not all(isinstance(book, Codebook) for book in books):
        return not any(isinstance(book, Codebook) for book in books)
    first, second = (replace(book, frac=0) for book in books)  # type: ignore[type-var]
    return first == second
