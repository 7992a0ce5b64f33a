"""The product of two streams: rounded once, clamped; a word a cycle. A gate of one position is kept for all others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from amaranth.hdl import Cat, Module, Signal, Value

from qtt_hw.graph import Edge, Multiplication
from rtl_gen.costs.arithmetic import requantizer
from rtl_gen.costs.cells import counter, equals, ram
from rtl_gen.costs.streams import credited, output_queue, turned
from rtl_gen.credited import CreditedUnit
from rtl_gen.delay import delay
from rtl_gen.families import Family, Resources
from rtl_gen.kinds.choices import JoinChoices
from rtl_gen.kinds.credited import CreditedSpec, Turn, join_choices
from rtl_gen.kinds.spec import Folding, Kind, Store
from rtl_gen.memory import Ram
from rtl_gen.multiplier import latency_of as product_latency
from rtl_gen.multiplier import multiply
from rtl_gen.reduce import shape_of
from rtl_gen.requantizer import RequantizeUnit, latency_of

__all__ = ["MULTIPLICATION", "MultiplicationSpec", "MultiplicationUnit"]


class MultiplicationSpec(CreditedSpec):
    """A product: a multiplier for each lane. Of a gate, the words come with those of the first position."""

    node: Multiplication
    kind = "product"

    def __init__(self, node: Multiplication, inputs: Sequence[Edge], folding: Folding, family: Family):
        super().__init__(node, inputs, folding, family)
        self.products = self.multipliers = self.dsps = folding.lanes

    @property
    def gated(self) -> bool:
        """Whether the second stream has one position for all of the first's."""
        a, b = self.inputs
        return a.shape != b.shape

    @property
    def gate_words(self) -> int:
        """Words of a position."""
        return self.out.channels // self.folding.lanes

    @property
    def turns(self) -> tuple[Turn, ...]:
        if not self.gated:
            return super().turns
        return Turn(self.gate_words, (0, 1)), Turn((self.out.positions - 1) * self.gate_words, (0,))

    @cached_property
    def range(self) -> tuple[int, int]:
        """Of a product."""
        return self.node.range(*self.inputs)

    @property
    def gate_latency(self) -> int:
        """Cycles from the taking of a word to its gate."""
        if not self.gated:
            return 0
        return 1 + (self.family.memory.read_latency(self.gate_words, self.gate_bits) if self.gate_words > 1 else 0)

    @property
    def gate_bits(self) -> int:
        """Of a word of the second stream."""
        return self.folding.lanes * self.inputs[1].format.bits

    @property
    def latency(self) -> int:
        """Cycles from the taking of a word to the push of its product."""
        product = product_latency("dsp", self.family, self.inputs[1].format.bits)
        return self.gate_latency + product + latency_of(self.node.requant, *self.range, 1, self.family)

    def stores(self) -> tuple[Store, ...]:
        if self.gate_words < 2 or not self.gated:
            return super().stores()
        return Store("gate", self.gate_words, self.gate_bits), *super().stores()

    def parts(self) -> dict[str, Resources]:
        lanes, queue, words = self.folding.lanes, self.folding.queue, self.gate_words
        a, b = (edge.format.bits for edge in self.inputs)
        late = self.latency - latency_of(self.node.requant, *self.range, 1, self.family)
        found = credited(queue) + Resources(ffs=lanes * (a + b) + late)
        if self.gated:
            found += turned([turn.words for turn in self.turns]) + Resources(ffs=self.gate_latency * lanes * a)
            if words > 1:
                address = (words - 1).bit_length()
                found += ram(words, self.gate_bits, self.family)
                found += Resources(luts=counter(address) + equals(address), ffs=2 * address)
            else:
                found += Resources(ffs=self.gate_bits)
        return {
            "": found,
            "requantizer": requantizer(self.node.requant, *self.range, lanes, 1, False, self.family),
            "queue": output_queue(lanes * self.out.format.bits, queue, self.family),
        }

    def unit(self, in_lanes: int) -> MultiplicationUnit:
        return MultiplicationUnit(self)


def _choices(node: Multiplication, inputs: Sequence[Edge], streams: Sequence[int], family: Family) -> JoinChoices:
    return join_choices(MultiplicationSpec, node, inputs, streams, family, inputs[0].channels)


class MultiplicationUnit(CreditedUnit):
    """A product as a stream component."""

    spec: MultiplicationSpec

    def results(self, m: Module, fires: Signal) -> tuple[Value, Value]:
        spec, lanes = self.spec, self.spec.folding.lanes
        low, high = spec.range
        m.submodules.requantizer = requantizer = RequantizeUnit(
            spec.node.requant, low=low, high=high, lanes=lanes, words=1, by_channel=False, family=spec.family
        )
        word: Value = self.i0.payload
        gates: Value = self.i1.payload
        if spec.gated:
            word, gates = delay(m, word, spec.gate_latency, "word"), self._kept(m, fires)
        a, b = (edge.format for edge in spec.inputs)
        for lane in range(lanes):
            left, right = (Signal(shape_of(fmt), name=f"{name}_{lane}") for name, fmt in (("left", a), ("right", b)))
            m.d.comb += [left.eq(word.word_select(lane, a.bits)), right.eq(gates.word_select(lane, b.bits))]
            product = multiply(m, self.platform, left, right, "dsp", f"product_{lane}", spec.family)
            m.d.comb += requantizer.i[lane].eq(product)
        late = spec.gate_latency + product_latency("dsp", spec.family, b.bits)
        m.d.comb += requantizer.i_valid.eq(delay(m, fires, late, "fires"))
        return Cat(requantizer.o[lane] for lane in range(lanes)), requantizer.o_valid

    def _kept(self, m: Module, fires: Signal) -> Value:
        """The gates of the word taken `gate_latency` cycles ago."""
        spec, first = self.spec, self.turn[0]
        if spec.gate_words == 1:
            held = Signal(spec.gate_bits, reset_less=True)
            with m.If(fires & first):
                m.d.sync += held.eq(self.i1.payload)
            return held
        m.submodules.gates = gates = Ram(spec.gate_words, spec.gate_bits, spec.family)
        number = Signal(range(spec.gate_words))
        with m.If(fires):
            m.d.sync += number.eq(number + 1)
            with m.If(number == spec.gate_words - 1):
                m.d.sync += number.eq(0)
        m.d.comb += [
            gates.write_enable.eq(fires & first),
            gates.write_address.eq(number),
            gates.write_data.eq(self.i1.payload),
            gates.address.eq(delay(m, number, 1, "number")),
        ]
        return gates.data


MULTIPLICATION = Kind(MultiplicationSpec, _choices)
