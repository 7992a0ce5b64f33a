"""An engine: memories, issuer, array, requantiser and writer, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from rtl_gen.delay import delay
from rtl_gen.engine.code import unread_words
from rtl_gen.engine.issuer import Issuer
from rtl_gen.engine.requantizer import SharedRequantizer
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
    observed, observed_stage, observed_word : Out
        What stages make: in a cycle with `observed` a word of stage number `observed_stage`.
    """

    def __init__(self, spec: EngineSpec, in_lanes: int):
        if spec.in_width % in_lanes:
            raise ValueError(
                f"stage {spec.node.name}: words of {in_lanes} values cannot be gathered to words of {spec.in_width}"
            )
        self.spec, self.in_lanes = spec, in_lanes
        lanes = spec.folding.lanes
        super().__init__(
            {
                "i0": In(stream.Signature(unsigned(in_lanes * spec.edges[0].format.bits))),
                "o": Out(stream.Signature(unsigned(lanes * spec.out.format.bits))),
                "observed": Out(1),
                "observed_stage": Out(unsigned(bits_for(max(len(spec.nodes) - 1, 1)))),
                "observed_word": Out(unsigned(lanes * spec.scaling.shape.width)),
            }
        )

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
            unread=unread_words(spec.works[0]),
            weights=spec.layout.weights[-1],
            queue=folding.queue,
            pointer_bits=spec.pointer_bits,
            most=spec.most_under_way,
            read_latency=spec.read_latency,
            family=family,
        )
        m.d.comb += [ring.limit.eq(issuer.limit), issuer.came.eq(ring.write_enable)]

        m.submodules.weights = weights = Rom(
            spec.weight_words, spec.weight_word_bits, family, spec.read_latency
        )
        m.submodules.array = array = MacArray(
            spec.x_format,
            spec.weight_format,
            simd=folding.simd,
            pe=folding.pe,
            accumulator=spec.accumulator_bits,
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
            signed(spec.accumulator_bits), values=folding.pe, lanes=folding.lanes
        )
        m.d.comb += [serializer.i.eq(array.o), serializer.i_valid.eq(array.o_valid)]
        ends = delay(m, Cat(issuer.position_ends, issuer.job_ends), array.latency, "ends")
        m.submodules.writer = writer = ResultWriter(
            spec.write_code,
            rows=len(spec.requantizer_rows),
            slices=spec.slices,
            depth=spec.layout.depth,
            family=family,
        )
        m.d.comb += writer.valid.eq(serializer.o_valid)
        m.d.comb += Cat(writer.position_ends, writer.job_ends).eq(self._at_last_word(m, array.o_valid, ends))

        m.submodules.requantizer = requantizer = SharedRequantizer(
            spec.scaling, spec.requantizer_rows, accumulator=spec.accumulator_bits, family=family
        )
        m.d.comb += [
            requantizer.i.eq(serializer.o),
            requantizer.row.eq(writer.row),
            requantizer.shift.eq(writer.shift),
            requantizer.clamp.eq(writer.clamp),
            issuer.done.eq(delay(m, writer.valid & writer.job_ends, spec.done_delay, "done")),
        ]
        self._read(m, issuer, array, ring)
        self._write(m, writer, issuer, requantizer)
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
        fmt, bits, lanes = spec.edges[0].format, spec.inner_bits, folding.lanes
        m.submodules.stream_ring = outside = Ram(
            spec.ring, folding.simd * fmt.bits, spec.family, spec.read_latency, early=True
        )
        m.d.comb += [
            outside.address.eq(issuer.address),
            outside.write_enable.eq(ring.write_enable),
            outside.write_address.eq(ring.write_address),
            outside.write_data.eq(ring.write_data),
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

    def _write(self, m: Module, writer: ResultWriter, issuer: Issuer, requantizer: SharedRequantizer) -> None:
        """Requantised words into the rings, or the output queue."""
        spec = self.spec
        late = requantizer.latency
        m.submodules.queue = queue = OutputQueue(len(self.o.payload), spec.folding.queue, spec.family)
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        bits = spec.out.format.bits
        m.d.comb += [
            queue.word.eq(Cat(Value.cast(value)[:bits] for value in requantizer.o)),
            queue.push.eq(delay(m, writer.push, late, "push")),
            issuer.freed.eq(queue.freed),
            self.observed.eq(delay(m, writer.observe, late, "observe")),
            self.observed_stage.eq(delay(m, writer.stage, late, "stage")),
            self.observed_word.eq(Value.cast(requantizer.o)),
        ]
        write, where, address = (
            delay(m, value, late - 1, name)
            for value, name in ((writer.write, "write"), (writer.slice, "slice"), (writer.address, "ring_address"))
        )
        for number, memory in enumerate(self.rings):
            m.d.comb += [
                memory.write_enable.eq(write & (where == number)),
                memory.write_address.eq(address),
                memory.write_data.eq(Cat(Value.cast(v)[: spec.inner_bits] for v in requantizer.o)),
            ]
