"""A stage: ring, sequencer, weight ROM, reducer, serialiser, requantiser and output queue, in that order.

Data comes in at `i` and leaves at `o`; in between nothing waits once a step is issued.
"""

from __future__ import annotations

from amaranth.hdl import Module, Value, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qtt_hw.codebook import Codebook
from qtt_hw.ir.nodes import Contraction, Pool
from rtl_gen.folding import StageSpec
from rtl_gen.memory import Ram, Rom
from rtl_gen.output import StageOutput
from rtl_gen.reduce import MacArray, PoolReducer, delay, shape_of
from rtl_gen.ring import RingWriter
from rtl_gen.sequencer import Sequencer

__all__ = ["Stage", "weight_words"]


def weight_words(spec: StageSpec) -> list[int]:
    """ROM contents: word (out group, kd, kh, kw, input word) holds the weights of pe x simd lanes, input fastest.

    A codebook's weights are there as codes.
    """
    node, folding = spec.node, spec.folding
    assert isinstance(node, Contraction)
    fmt = node.weight_format
    bits = fmt.bits
    stored = fmt.encode(node.weight) if isinstance(fmt, Codebook) else node.weight
    words = []
    shaped = stored.reshape(-1, folding.pe, spec.window.taps, spec.inner, folding.simd)
    for group in shaped:
        for lanes in group.transpose(1, 2, 0, 3).reshape(-1, folding.pe * folding.simd):
            word = 0
            for position, value in enumerate(lanes):
                word |= (int(value) & ((1 << bits) - 1)) << (position * bits)
            words.append(word)
    return words


class Stage(wiring.Component):
    """One node of the graph as a stream component.

    Parameters
    ----------
    spec : StageSpec
    in_lanes : int
        Values in an input word; divides the stage's `in_width`.

    Members
    -------
    i : In(stream)
        `in_lanes` values of the input format, the lowest channel in the low bits.
    o : Out(stream)
        `spec.folding.lanes` values of the output format.
    """

    def __init__(self, spec: StageSpec, in_lanes: int):
        if spec.in_width % in_lanes:
            raise ValueError(
                f"stage {spec.node.name}: words of {in_lanes} values cannot be gathered to words of {spec.in_width}"
            )
        self.spec, self.in_lanes = spec, in_lanes
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(in_lanes * spec.x.format.bits))),
                "o": Out(stream.Signature(unsigned(spec.folding.lanes * spec.out.format.bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, folding = self.spec, self.spec.folding
        m.submodules.ring = ring = RingWriter(
            width=self.in_lanes * spec.x.format.bits,
            collect=spec.in_width // self.in_lanes,
            ring=folding.ring,
            pointer_bits=spec.walk.pointer_bits,
        )
        m.submodules.buffer = buffer = Ram(folding.ring, spec.ring_width)
        m.submodules.sequencer = sequencer = Sequencer(spec.loop)
        m.submodules.output = output = StageOutput(spec)
        wiring.connect(m, wiring.flipped(self.i), ring.i)
        wiring.connect(m, output.o, wiring.flipped(self.o))
        m.d.comb += [
            buffer.write_enable.eq(ring.write_enable),
            buffer.write_address.eq(ring.write_address),
            buffer.write_data.eq(ring.write_data),
            buffer.address.eq(sequencer.address),
            sequencer.written.eq(ring.written),
            ring.released.eq(sequencer.released),
            sequencer.freed.eq(output.freed),
        ]

        reducer = self._reducer(m, sequencer)
        m.submodules.reducer = reducer
        m.d.comb += [
            reducer.x.eq(buffer.data),
            reducer.valid.eq(sequencer.valid),
            reducer.first.eq(sequencer.first),
            reducer.last.eq(sequencer.last),
        ]

        m.d.comb += [output.i[index].eq(reducer.o[index]) for index in range(spec.out_width)]
        m.d.comb += [
            output.i_valid.eq(reducer.o_valid),
            output.row.eq(delay(m, sequencer.row, spec.reduce_latency, "row")),
        ]
        return m

    def _reducer(self, m: Module, sequencer: Sequencer) -> MacArray | PoolReducer:
        spec, folding = self.spec, self.spec.folding
        if isinstance(spec.node, Contraction):
            m.submodules.weights = weights = Rom(weight_words(spec), spec.rom_width)
            m.d.comb += weights.address.eq(sequencer.rom_address)
            array = MacArray(
                spec.x.format,
                spec.node.weight_format,
                simd=folding.simd,
                pe=folding.pe,
                carry=folding.carry,
                accumulator=spec.accumulator_bits,
                kind=folding.multiplier,
            )
            m.d.comb += Value.cast(array.weights).eq(weights.data)
            return array
        average = isinstance(spec.node, Pool) and spec.node.kind == "average"
        return PoolReducer(
            spec.x.format,
            lanes=folding.simd,
            kind="sum" if average else "max",
            accumulator=signed(spec.accumulator_bits) if average else shape_of(spec.x.format),
        )
