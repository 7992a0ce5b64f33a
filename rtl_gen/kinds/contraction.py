"""Windowed contractions: multipliers or shifters, adder trees and accumulators over weights in ROM."""

from __future__ import annotations

from functools import cached_property, lru_cache

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.utils import ceil_log2

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Requantizer
from qtt_hw.graph import Contraction, Edge
from qtt_hw.window import Window
from rtl_gen.costs.arithmetic import mac_array
from rtl_gen.costs.cells import rom
from rtl_gen.families import Resources
from rtl_gen.kinds.windowed import RingSpec
from rtl_gen.loop_nest import GroupLevel
from rtl_gen.memory import Rom
from rtl_gen.multiplier import BLOCK_KINDS, latency_of, multipliers_of, share_blocks
from rtl_gen.packing import Packing, packed_weights, packing_of
from rtl_gen.reduce import MacArray
from rtl_gen.sequencer import Sequencer
from rtl_gen.shifter import integer_bits
from rtl_gen.words import joined

__all__ = ["ContractionSpec", "never_on_dsps", "weight_words"]

#: Inputs, or weights, this narrow are always multiplied in LUTs: those weights are -1, 0 and 1.
NARROW_BITS = 2


@lru_cache(maxsize=1024)
def accumulator_of(node: Contraction, x: Edge) -> tuple[int, int]:
    return node.accumulator(x)


class ContractionSpec(RingSpec):
    """A contraction; a ring word holds simd x carry consecutive channels, value (s, t) at s * carry + t.

    Of groups, `carry` are at work side by side, each as a whole; value s of the group t is then at t * simd + s.
    """

    node: Contraction
    weighs = True
    by_channel = True

    @property
    def window(self) -> Window:
        return self.node.window

    def totals(self) -> tuple[tuple[str, int, int], ...]:
        node, folding = self.node, self.folding
        return (
            ("simd", folding.simd, node.in_size),
            ("pe", folding.pe, node.out_size),
            ("carry", folding.carry, node.groups if node.groups > 1 else node.trail),
        )

    def check_lanes(self) -> None:
        node, folding = self.node, self.folding
        # A word, and a group of results, must be consecutive channels.
        if node.groups > 1:
            for what, value, whole in (("simd", folding.simd, node.in_size), ("pe", folding.pe, node.out_size)):
                if value < whole and folding.carry > 1:
                    raise self.refuse(f"{what} {value} is not the whole group's {whole}, so that carry must be 1")
        elif folding.carry < node.trail:
            for what, value in (("simd", folding.simd), ("pe", folding.pe)):
                if value > 1:
                    raise self.refuse(f"{what} {value} needs carry {node.trail}, not {folding.carry}")
        book = node.weight_format
        if folding.multiplier == "shift" and not isinstance(book, Codebook):
            raise self.refuse("lanes that shift need weights of a codebook")
        if folding.multiplier == "packed" and (folding.pe % 2 or self.packing is None):
            raise self.refuse("two products a multiplier need an even pe, and narrow weights and inputs")
        if folding.multiplier == "dual" and not share_blocks(self.x.format, book, self.family):
            raise self.refuse(f"the multipliers of {self.family.title} are not two of these weights and inputs")

    @cached_property
    def packing(self) -> Packing | None:
        """How two weights can share a multiplier's operand."""
        return packing_of(self.x.format, self.node.weight_format, self.family.multiplier.bits)

    @property
    def coded(self) -> bool:  # type: ignore[override]
        return isinstance(self.node.weight_format, Codebook)

    # Words

    @cached_property
    def in_width(self) -> int:  # type: ignore[override]
        return self.folding.simd * self.folding.carry

    @property
    def out_width(self) -> int:
        """Values in a result, (pe, carried index) with the latter fastest, or (group, pe)."""
        return self.folding.pe * self.folding.carry

    @cached_property
    def inner(self) -> int:  # type: ignore[override]
        return self.node.in_size // self.folding.simd

    # Numbers

    @cached_property
    def accumulator(self) -> tuple[int, int]:  # type: ignore[override]
        return accumulator_of(self.node, self.x)

    @property
    def requant(self) -> Requantizer:
        return self.node.requant

    @property
    def weight_bits(self) -> int:
        """Bits of a weight's integer, which may be what a codebook's code stands for."""
        fmt = self.node.weight_format
        return integer_bits(fmt) if isinstance(fmt, Codebook) else fmt.bits

    # The loop nest

    @property
    def merged(self) -> bool:
        spread = self.node.lead > 1 or self.node.groups > 1 or self.window.dilation[2] > 1
        return not spread or self.window.kernel[2] == 1 or self.inner == 1

    @property
    def _trail_words(self) -> int:
        return 1 if self.node.groups > 1 else self.node.trail // self.folding.carry

    @property
    def inner_stride(self) -> int:
        return self.geometry.tap_strides[2] if self.inner == 1 else self._trail_words

    def levels(self) -> list[GroupLevel]:
        node, rom_words, results = self.node, self.window.taps * self.inner, self.node.out_size // self.folding.pe
        return [
            GroupLevel(self._trail_words, 1, 0),
            GroupLevel(results, 0, rom_words),
            GroupLevel(node.lead, self.inner * self._trail_words, 0),
            GroupLevel(self._group_words, self.inner, results * rom_words),
        ]

    @property
    def _group_words(self) -> int:
        """Steps to all groups of a position."""
        return self.node.groups // self.folding.carry if self.node.groups > 1 else 1

    @cached_property
    def rom_depth(self) -> int:  # type: ignore[override]
        return self._group_words * (self.node.out_size // self.folding.pe) * self.window.taps * self.inner

    @property
    def results_with_weights(self) -> int:
        """Parallel results that have weights of their own: not those of carried indices."""
        return self.folding.pe * (self.folding.carry if self.node.groups > 1 else 1)

    @property
    def rom_width(self) -> int:  # type: ignore[override]
        return self.results_with_weights * self.folding.simd * self.node.weight_format.bits

    # Time and cost

    @property
    def reduce_latency(self) -> int:
        narrow = min(self.weight_bits, self.x.format.bits)
        return latency_of(self.folding.multiplier, self.family, narrow) + ceil_log2(self.folding.simd) + 1

    @property
    def products(self) -> int:  # type: ignore[override]
        return self.out_width * self.folding.simd

    @property
    def multipliers(self) -> int:  # type: ignore[override]
        """Multipliers of a step's products: none where lanes shift, several for each weight wider than a block's."""
        return multipliers_of(self.folding.multiplier, self.products, self.weight_bits, self.family)

    @property
    def dsps(self) -> int:  # type: ignore[override]
        return self.requant_dsps + (self.multipliers if self.folding.multiplier in BLOCK_KINDS else 0)

    @property
    def rom_bits(self) -> int:  # type: ignore[override]
        return int(self.node.weight.size) * self.node.weight_format.bits

    def reducer_parts(self) -> dict[str, Resources]:
        folding = self.folding
        own = self.results_with_weights
        array = mac_array(
            *(self.x.format, self.node.weight_format, folding.simd, own, self.out_width // own),
            *(self.accumulator_bits, folding.multiplier, self.family),
        )
        return {"reducer": array, "weights": rom(self.rom_depth, self.rom_width, self.family, self.read_latency)}

    # Hardware

    def reducer(self, m: Module, sequencer: Sequencer) -> wiring.Component:
        m.submodules.weights = weights = Rom(weight_words(self), self.rom_width, self.family, self.read_latency)
        m.d.comb += weights.address.eq(sequencer.rom_address)
        array = MacArray(
            self.x.format,
            self.node.weight_format,
            simd=self.folding.simd,
            pe=self.folding.pe,
            carry=self.folding.carry,
            grouped=self.node.groups > 1,
            accumulator=self.accumulator_bits,
            kind=self.folding.multiplier,
            family=self.family,
        )
        m.d.comb += Value.cast(array.weights).eq(weights.data)
        return array


def weight_words(spec: ContractionSpec) -> list[int]:
    """ROM contents: word (out group, kd, kh, kw, input word) holds the weights of pe x simd lanes, input fastest.

    Of groups the weights of carry x pe x simd lanes, so that out groups are of as many groups of channels.
    A codebook's weights are there as codes, those of packed lanes as `rtl_gen.packing` says.
    """
    node, folding = spec.node, spec.folding
    fmt = node.weight_format
    stored = fmt.encode(node.weight) if isinstance(fmt, Codebook) else node.weight
    words = []
    own = spec.results_with_weights
    shaped = stored.reshape(-1, own, spec.window.taps, spec.inner, folding.simd)
    if folding.multiplier == "packed":
        shaped = packed_weights(shaped)
    for group in shaped:
        for lanes in group.transpose(1, 2, 0, 3).reshape(-1, own * folding.simd):
            words.append(joined(lanes, fmt.bits))
    return words


def never_on_dsps(node: Contraction, x: Edge) -> bool:
    """Whether products are so simple that a multiplier block would be wasted on them, idle or not."""
    coded = isinstance(node.weight_format, Codebook)
    return coded or x.format.bits <= NARROW_BITS or node.weight_format.bits <= NARROW_BITS
