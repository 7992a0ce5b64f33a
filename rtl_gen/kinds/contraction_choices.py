"""The foldings of a contraction that the planner chooses among."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

from qtt_hw.codebook import Codebook
from qtt_hw.graph import Contraction, Edge
from rtl_gen.families import Family
from rtl_gen.kinds.choices import Choice, Lanes, StageChoices, Widths, divisors
from rtl_gen.kinds.contraction import ContractionSpec, accumulator_of, never_on_dsps
from rtl_gen.kinds.spec import Folding, Kind, Spec
from rtl_gen.kinds.unfolded import UnfoldedSpec, reads_words_of, unfolded
from rtl_gen.kinds.windowed import geometry_of
from rtl_gen.multiplier import LaneKind, share_blocks
from rtl_gen.packing import packing_of

__all__ = ["CONTRACTION", "ContractionChoices"]

#: Widest product array of one stage that is considered.
MOST_MULTIPLIERS = 1024
#: A product of a weight of b bits and an input of c bits may be formed in LUTs up to this b * c.
LOGIC_PRODUCT_BITS = 64
#: Layers of so many channels or fewer may have lanes over kernel taps, whose words have so many bits at most.
FIRST_CHANNELS, MOST_BITS = 16, 1024


class ContractionChoices(StageChoices):
    """Words of a divisor of the trail (one input a step), or of the whole trail times a divisor of `in_size`.

    Of groups words of a divisor of `in_size`, or of whole groups.

    Where channels are few, also lanes over kernel taps, behind one to three unfolded axes.
    """

    node: Contraction

    def __init__(self, node: Contraction, x: Edge, stream: int, family: Family, unfolds: bool = True):
        self._behind: dict[int, ContractionChoices] = {}
        self.node, self.x, self._unfolds = node, x, unfolds
        super().__init__(node, x, stream, family)

    def word_widths(self) -> list[int]:
        node = self.node
        if node.groups > 1:
            found = [*divisors(node.in_size), *(groups * node.in_size for groups in divisors(node.groups)[1:])]
        else:
            found = [*divisors(node.trail), *(simd * node.trail for simd in divisors(node.in_size)[1:])]
        return [*found, *(width for width in self._unfoldings if width not in found)]

    def serial_cycles(self) -> int:
        return self.node.macs(self.x)

    def shapes(self, width: int) -> Widths:
        node = self.node
        if node.groups > 1:
            carry = max(width // node.in_size, 1)
            results = divisors(node.out_size) if carry == 1 else [node.out_size]
        else:
            carry = min(width, node.trail)
            results = divisors(node.out_size) if carry == node.trail else [1]
        simd = width // carry
        results = [pe for pe in results if pe * width <= MOST_MULTIPLIERS]
        return Widths(simd, carry, results, node.in_size // simd)

    def lane_kinds(self) -> Iterator[LaneKind]:
        node, x = self.node, self.x
        if isinstance(node.weight_format, Codebook):
            yield "shift"
        elif never_on_dsps(node, x):
            yield "logic"
        else:
            yield "dsp"
            if packing_of(x.format, node.weight_format, self.family.multiplier.bits) is not None:
                yield "packed"
            if share_blocks(x.format, node.weight_format, self.family):
                yield "dual"
            if node.weight_format.bits * x.format.bits <= LOGIC_PRODUCT_BITS:
                yield "logic"

    def spec(self, folding: Folding) -> ContractionSpec:
        return ContractionSpec(self.node, (self.x,), folding, self.family)

    def _choices(self, width: int, behind: Lanes) -> Iterator[Choice]:
        if self.x.channels % width == 0:
            yield from super()._choices(width, behind)
        for axes in self._unfoldings.get(width, ()):
            yield from self._unfolded(axes, behind)

    @cached_property
    def _unfoldings(self) -> dict[int, list[int]]:
        """How many axes may be unfolded, by the width of the words that are then read."""
        node, found = self.node, dict[int, list[int]]()
        if not self._unfolds or node.parts > 1 or node.in_size > FIRST_CHANNELS:
            return found
        for axes in range(1, 4):
            kernel, sizes = node.window.kernel[3 - axes :], node.window.out_positions(self.x.shape)[3 - axes :]
            if max(node.window.dilation[3 - axes :]) > 1:
                break
            if kernel[0] > 1 < sizes[0] and math.prod(kernel) * node.in_size * self.x.format.bits <= MOST_BITS:
                found.setdefault(reads_words_of(node, self.x), []).append(axes)
        return found

    def _unfolded(self, axes: int, behind: Lanes) -> Iterator[Choice]:
        """The choices of the stage behind so many unfolded axes."""
        if axes not in self._behind:
            node, x = unfolded(self.node, self.x, axes)
            self._behind[axes] = ContractionChoices(node, x, x.channels, self.family, unfolds=False)
        stage = self._behind[axes]
        for choice in stage.of(stage.x.channels, behind):
            folding = choice.folding.model_copy(update={"unfold": axes})
            spec = UnfoldedSpec(self.node, (self.x,), folding, self.family)
            yield Choice(folding, max(choice.cycles, spec.cycles), spec.resources())

    def key(self) -> object:
        """Contractions that differ in their weights only have the same choices."""
        node = self.node
        sizes = (node.weight.shape, node.lead, node.trail, node.groups)
        return (node.window, *sizes, node.weight_format, node.requant, accumulator_of(node, self.x))


def _choices(node: Contraction, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> ContractionChoices:
    return ContractionChoices(node, inputs[0], streams[0], family)


def _spec(node: Contraction, inputs: Sequence[Edge], folding: Folding, family: Family) -> Spec:
    return (UnfoldedSpec if folding.unfold else ContractionSpec)(node, inputs, folding, family)


CONTRACTION = Kind(_spec, _choices, lambda node, x: int(geometry_of(node.window, x.shape, x.channels).needs[0]) - 1)
