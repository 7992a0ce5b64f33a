"""An engine: memories, issuer, array, requantiser and writer, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from rtl_gen.delay import delay
from rtl_gen.engine.code import unread_words
from rtl_gen.engine.issuer import Issuer
from rtl_gen.engine.requantizer import SharedRequantizer
from rtl_gen.engine.summation import SharedSum
from rtl_gen.engine.writer import ResultWriter
from rtl_gen.memory import Ram, Rom
from rtl_gen.output import OutputQueue, Serializer
from rtl_gen.reduce import MacArray, shape_of
from rtl_gen.ring import RingWriter

if TYPE_CHECKING:
    from rtl_gen.engine.spec import EngineSpec

__all__ = ["EngineUnit"]


class EngineUnit(wiring.Component):
    """The stages of an engine as one stream component.

    Parameters
    ----------
    spec : EngineSpec
    in_lanes : int
        Values in an input word; divides `simd`.

    Members
    -------
    i0 : In(stream)
    o : Out(stream)
    made, made_stage, made_word : Out
        What contractions make: in a cycle with `made` a word of the one in stage number `made_stage`.
    summed, summed_stage, summed_word : Out
        The same of the sums behind them.
    """

    def __init__(self, spec: EngineSpec, in_lanes: int):
        if spec.in_width % in_lanes:
            raise ValueError(
                f"stage {spec.node.name}: words of {in_lanes} values cannot be gathered to words of {spec.in_width}"
            )
        self.spec, self.in_lanes = spec, in_lanes
        lanes = spec.folding.lanes
        stage = unsigned(bits_for(max(len(spec.nodes) - 1, 1)))
        observed = {"made": spec.numbers.scaling.shape, "summed": spec.numbers.result_shape}
        super().__init__(
            {
                "i0": In(stream.Signature(unsigned(in_lanes * spec.edges[0].format.bits))),
                "o": Out(stream.Signature(unsigned(lanes * spec.out.format.bits))),
                **{name: Out(1) for name in observed},
                **{f"{name}_stage": Out(stage) for name in observed},
                **{f"{name}_word": Out(unsigned(lanes * shape.width)) for name, shape in observed.items()},
            }
        )

    def observed(self, number: int) -> tuple[Value, Value]:
        """Of the tap with a number: whether there is a word, and the word."""
        stage, sums = self.spec.tapped[number]
        name = "summed" if sums else "made"
        return getattr(self, name) & (getattr(self, f"{name}_stage") == stage), getattr(self, f"{name}_word")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, folding, family = self.spec, self.spec.folding, self.spec.family
        m.submodules.ring = ring = RingWriter(
            width=self.in_lanes * spec.edges[0].format.bits,
            collect=spec.in_width // self.in_lanes,
            ring=spec.ring,
            pointer_bits=spec.pointer_bits,
        )
        wiring.connect(m, wiring.flipped(self.i0), ring.i)
        m.submodules.issuer = issuer = Issuer(
            spec.issue_code,
            ring=spec.ring,
            unread=unread_words(spec.works, spec.reads),
            weights=spec.layout.weights[-1],
            queue=folding.queue,
            most=spec.most_under_way,
            read_latency=spec.read_latency,
            family=family,
        )
        m.d.comb += issuer.came.eq(ring.write_enable)

        m.submodules.weights = weights = Rom(spec.weight_words, spec.weight_word_bits, family, spec.read_latency)
        m.submodules.array = array = MacArray(
            spec.numbers.x_format,
            spec.numbers.weight_format,
            simd=folding.simd,
            pe=folding.pe,
            accumulator=spec.numbers.accumulator_bits,
            kind=folding.multiplier,
            family=family,
        )
        m.d.comb += [
            weights.address.eq(issuer.weights),
            Value.cast(array.weights).eq(weights.data),
            array.valid.eq(issuer.valid),
            array.first.eq(issuer.first),
            array.last.eq(issuer.last),
        ]

        m.submodules.serializer = serializer = Serializer(
            signed(spec.numbers.accumulator_bits), values=folding.pe, lanes=folding.lanes
        )
        m.d.comb += [serializer.i.eq(array.o), serializer.i_valid.eq(array.o_valid)]
        ends = delay(m, Cat(issuer.position_ends, issuer.job_ends), array.latency, "ends")
        m.submodules.writer = writer = ResultWriter(
            spec.write_code,
            rows=len(spec.requantizer_rows),
            slices=spec.slices,
            depth=spec.layout.depth,
            summed=max(spec.layout.summed, spec.ring if spec.segment.adds_outside else 0),
            ring=spec.ring,
            pointer_bits=spec.pointer_bits,
            family=family,
        )
        m.d.comb += [writer.valid.eq(serializer.o_valid), ring.limit.eq(writer.limit)]
        m.d.comb += Cat(writer.position_ends, writer.job_ends).eq(self._at_last_word(m, array.o_valid, ends))

        m.submodules.requantizer = requantizer = SharedRequantizer(
            spec.numbers.scaling, spec.requantizer_rows, accumulator=spec.numbers.accumulator_bits, family=family
        )
        m.d.comb += [
            requantizer.i.eq(serializer.o),
            requantizer.row.eq(writer.row),
            requantizer.shift.eq(writer.shift),
            requantizer.clamp.eq(writer.clamp),
            issuer.done.eq(delay(m, writer.valid & writer.job_ends, spec.done_delay, "done")),
        ]
        self._read(m, issuer, array, ring)
        words = Value.cast(requantizer.o) if spec.numbers.sums is None else self._sum(m, writer, requantizer, ring)
        self._write(m, writer, issuer, requantizer, words)
        return m

    def _at_last_word(self, m: Module, comes: Value, ends: Value) -> Value:
        """The flags of a result with its last word at the requantiser: registers, as much hangs on them."""
        words = self.spec.result_words
        if words == 1:
            return ends
        held, now, left = Signal.like(ends, name="ends_held"), Signal.like(ends, name="ends_now"), Signal(range(words))
        with m.If(comes):
            m.d.sync += [held.eq(ends), left.eq(words - 1), now.eq(0)]
        with m.Else():
            m.d.sync += now.eq(Mux(left == 1, held, 0))
            with m.If(left != 0):
                m.d.sync += left.eq(left - 1)
        return now

    def _read(self, m: Module, issuer: Issuer, array: MacArray, ring: RingWriter) -> None:
        """The array's inputs: of the stream's ring, or of what the engine itself has made."""
        spec, folding = self.spec, self.spec.folding
        fmt, bits, lanes = spec.edges[0].format, spec.numbers.inner_bits, folding.lanes
        m.submodules.stream_ring = outside = Ram(
            spec.ring, folding.simd * fmt.bits, spec.family, spec.read_latency, early=True
        )
        m.d.comb += [
            outside.address.eq(issuer.address),
            *ring.fills(outside),
        ]
        self.rings = []
        for number in range(spec.slices if spec.layout.depth else 0):
            memory = Ram(spec.layout.depth, lanes * bits, spec.family, spec.read_latency, early=True)
            m.submodules[f"rings_{number}"] = memory
            m.d.comb += memory.address.eq(issuer.address)
            self.rings.append(memory)
        made = Cat(memory.data for memory in self.rings)
        for lane in range(folding.simd):
            x = Signal(shape_of(fmt), name=f"x_{lane}")
            m.d.comb += x.eq(outside.data[lane * fmt.bits : (lane + 1) * fmt.bits])
            value: Value = x
            if self.rings:
                inner = made[lane * bits : (lane + 1) * bits]
                extended = Cat(inner, inner[-1] & issuer.signed).as_signed()
                value = Mux(issuer.outside, x, extended)
            m.d.comb += array.x[lane].eq(value)

    def _sum(self, m: Module, writer: ResultWriter, requantizer: SharedRequantizer, ring: RingWriter) -> Value:
        """Requantised words with what is added to them, which copies of the memories have."""
        spec, late, lanes = self.spec, requantizer.latency, self.spec.folding.lanes
        assert spec.numbers.sums is not None
        m.submodules.sum = unit = SharedSum(spec.numbers.sums, spec.numbers.scaling.shape, lanes)
        held: list[Value] = []
        if spec.layout.summed:
            # A word of it is one of results, so that nothing selects behind it.
            self.summands = memory = Ram(spec.summand_words, lanes * spec.numbers.inner_bits, spec.family, early=True)
            m.submodules.summands = memory
            m.d.comb += memory.address.eq(self._narrow(writer.slice, writer.summand))
            held.append(delay(m, memory.data, late - memory.latency, "summand"))
        if spec.segment.adds_outside:
            bits = spec.edges[0].format.bits
            outside = Ram(spec.ring, spec.folding.simd * bits, spec.family, early=True)
            m.submodules.stream_summands = outside
            m.d.comb += [
                outside.address.eq(writer.summand),
                *ring.fills(outside),
            ]
            which = delay(m, writer.slice, outside.latency, "slice")
            word = Signal(lanes * bits, name="stream_summand")
            m.d.sync += word.eq(
                Array([outside.data.word_select(number, lanes * bits) for number in range(spec.slices)])[which]
            )
            held.append(delay(m, word, late - outside.latency - 1, "stream_summand"))
        # Values of fewer bits than others are extended.
        signs = delay(m, writer.sum_signed, late, "sum_signed")
        extended = [
            Cat(Cat(v, (v[-1] & signs).replicate(spec.numbers.sums.bits - len(v))) for v in _values(word, lanes))
            for word in held
        ]
        other: Value = extended[0]
        if len(extended) > 1:
            other = Mux(delay(m, writer.adds_outside, late, "adds_outside"), extended[1], extended[0])
        m.d.comb += [
            unit.own.eq(requantizer.o),
            Value.cast(unit.other).eq(other),
            unit.kind.eq(delay(m, writer.sum, late, "sum")),
            unit.adds.eq(delay(m, writer.adds, late, "adds")),
            unit.signed.eq(signs),
        ]
        return Value.cast(unit.o)

    def _narrow(self, slice_: Value, address: Value) -> Value:
        """The address of a word of results in a memory of such words."""
        return Cat(slice_[: ceil_log2(self.spec.slices)], address)

    def _write(
        self, m: Module, writer: ResultWriter, issuer: Issuer, requantizer: SharedRequantizer, words: Value
    ) -> None:
        """Words into the rings, or the output queue."""
        spec, lanes = self.spec, self.spec.folding.lanes
        late = spec.kept_latency
        m.submodules.queue = queue = OutputQueue(len(self.o.payload), spec.folding.queue, spec.family)
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        kept = _values(words, lanes)
        observe, stage = writer.observe, writer.stage
        m.d.comb += [
            queue.word.eq(Cat(value[: spec.out.format.bits] for value in kept)),
            queue.push.eq(delay(m, writer.push, late, "push")),
            issuer.freed.eq(queue.freed),
            self.made.eq(delay(m, observe, requantizer.latency, "observe")),
            self.made_stage.eq(delay(m, stage, requantizer.latency, "stage")),
            self.made_word.eq(Value.cast(requantizer.o)),
        ]
        if spec.numbers.sums is not None:
            m.d.comb += [
                self.summed.eq(delay(m, observe & writer.adds, late, "observe_sum")),
                self.summed_stage.eq(delay(m, stage, late, "stage_sum")),
                self.summed_word.eq(words),
            ]
        write, where, address = (
            delay(m, value, late - 1, name)
            for value, name in ((writer.write, "write"), (writer.slice, "slice"), (writer.address, "ring_address"))
        )
        for number, memory in enumerate(self.rings):
            m.d.comb += [
                memory.write_enable.eq(write & (where == number)),
                memory.write_address.eq(address),
                memory.write_data.eq(Cat(value[: spec.numbers.inner_bits] for value in kept)),
            ]
        if spec.layout.summed:
            copied = address < spec.layout.summed if spec.layout.summed < spec.layout.depth else 1
            m.d.comb += [
                self.summands.write_enable.eq(write & copied),
                self.summands.write_address.eq(self._narrow(where, address)),
                self.summands.write_data.eq(Cat(value[: spec.numbers.inner_bits] for value in kept)),
            ]


def _values(word: Value, lanes: int) -> list[Value]:
    """The values of a word."""
    bits = len(word) // lanes
    return [word[lane * bits : (lane + 1) * bits] for lane in range(lanes)]
