"""A stage whose inputs stand in a ring: ring, sequencer, reducer, serialiser, requantiser and output queue.

Data comes in at `i0` and leaves at `o`; in between nothing waits once a step is issued.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Module
from amaranth.lib import wiring

from rtl_gen.delay import delay
from rtl_gen.gathering import GatheringUnit
from rtl_gen.memory import PacedRam, Ram
from rtl_gen.output import StageOutput
from rtl_gen.ring import RingWriter
from rtl_gen.sequencer import Sequencer

if TYPE_CHECKING:
    from rtl_gen.kinds.windowed import RingSpec

__all__ = ["RingUnit"]


class RingUnit(GatheringUnit):
    """A stage of a ring as a stream component."""

    spec: RingSpec

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, folding = self.spec, self.spec.folding
        m.submodules.ring = ring = RingWriter(
            width=self.in_lanes * spec.x.format.bits,
            collect=spec.in_width // self.in_lanes,
            ring=folding.ring,
            pointer_bits=spec.walk.pointer_bits,
            pace=spec.pace,
        )
        m.submodules.buffer = buffer = self._buffer()
        m.submodules.sequencer = sequencer = Sequencer(spec.loop, spec.read_latency)
        m.submodules.output = output = StageOutput(spec)
        wiring.connect(m, wiring.flipped(self.i0), ring.i)
        wiring.connect(m, output.o, wiring.flipped(self.o))
        m.d.comb += [
            *ring.fills(buffer),
            buffer.address.eq(sequencer.address),
            *([buffer.reads.eq(sequencer.reads)] if isinstance(buffer, PacedRam) else []),
            sequencer.written.eq(ring.written),
            ring.limit.eq(sequencer.limit),
            sequencer.freed.eq(output.freed),
        ]

        reducer = spec.reducer(m, sequencer)
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

    def _buffer(self) -> Ram | PacedRam:
        spec, ring = self.spec, self.spec.folding.ring
        if spec.pace == 2:
            return PacedRam(ring, spec.ring_width, spec.family, spec.read_latency)
        return Ram(ring, spec.ring_width, spec.family, spec.read_latency, early=True)
