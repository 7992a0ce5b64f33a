"""The whole network as one stream component: stages, forks, FIFOs, width conversions and the argmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qtt_hw.fixedpoint import Format
from rtl_gen.add import AddSpec, AddUnit
from rtl_gen.argmax import Argmax, output_layout
from rtl_gen.fifo import Fifo
from rtl_gen.folding import StageSpec
from rtl_gen.fork import Fork
from rtl_gen.row_pool import RowPool
from rtl_gen.stage import Stage
from rtl_gen.stream import Gatherer, Splitter
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["Top", "port_name", "stage_unit"]


def stage_unit(spec: StageSpec, in_lanes: int) -> Stage | RowPool:
    """The hardware of a stage that reads words of `in_lanes` values."""
    return RowPool(spec, in_lanes) if spec.accumulates else Stage(spec, in_lanes)


def port_name(stage: str) -> str:
    """A stage's name as a Verilog identifier."""
    return "".join(c if c.isalnum() else "_" for c in stage)


class Top(wiring.Component):
    """Voxels or pixels in, logits and class index out; inferences back to back, without a reset between them.

    Parameters
    ----------
    specs : sequence of StageSpec and AddSpec
    in_lanes : int
        Values in a word of the input stream.
    topology : Topology, optional
        What each stage reads, and the FIFOs; without one the stages are a chain.
    taps : bool
        Bring out every stage's output: `tap_STAGE__payload` is transferred in each cycle with `tap_STAGE__strobe`.
    """

    def __init__(
        self,
        specs: Sequence[StageSpec | AddSpec],
        in_lanes: int,
        topology: Topology | None = None,
        *,
        taps: bool = False,
    ):
        self.specs, self.in_lanes, self.taps = list(specs), in_lanes, taps
        self.topology = topology or Topology.chain(len(self.specs))
        self.names = [port_name(spec.node.name) for spec in self.specs]
        if len(set(self.names)) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"two stages share the port name {twice!r}")
        if None in self.topology.fifos.values():
            raise ValueError("a FIFO without end is only predicted, not built")
        last = self.specs[-1].out
        self.classes = last.positions * last.channels
        self.names.append("argmax")
        first = self._format(self.topology.readers[SOURCE][0])
        members = {
            "i": In(stream.Signature(unsigned(in_lanes * first.bits))),
            "o": Out(stream.Signature(output_layout(last.format, self.classes))),
        }
        if taps:
            for name, spec in zip(self.names, self.specs, strict=False):
                width = spec.folding.lanes * spec.out.format.bits
                members[f"tap_{name}"] = Out(wiring.Signature({"strobe": Out(1), "payload": Out(unsigned(width))}))
        super().__init__(members)

    def _format(self, reader: Reader) -> Format:
        """Of the values at an input."""
        if reader.stage == len(self.specs):
            return self.specs[-1].out.format
        spec = self.specs[reader.stage]
        return (spec.inputs[reader.input] if isinstance(spec, AddSpec) else spec.x).format

    def elaborate(self, platform: object) -> Module:
        m = Module()
        #: What feeds each input, and the values in its words.
        feeds: dict[Reader, tuple[Any, int]] = {}

        def add(name: str, unit: wiring.Component) -> None:
            """A submodule whose streams carry its name, so that the Verilog can be read."""
            m.submodules[name] = unit
            for path, port in _streams(unit):
                for member in ("payload", "valid", "ready"):
                    Value.cast(getattr(port, member)).name = f"{name}__{path}__{member}"

        def deliver(stage: int, name: str, flow: Any, lanes: int) -> None:
            """A stage's output to its readers, through a fork where it has several, and through their FIFOs."""
            readers = self.topology.readers[stage]
            bits = lanes * self._format(readers[0]).bits
            flows = [flow]
            if len(readers) > 1:
                fork = Fork(bits, len(readers))
                add(f"{name}__fork", fork)
                wiring.connect(m, flow, fork.i)
                flows = list(fork.o)
            for reader, given in zip(readers, flows, strict=True):
                feeds[reader] = given, lanes
                depth = self.topology.fifos.get(reader)
                if depth is not None:
                    fifo = Fifo(bits, depth)
                    add(f"{self._input_name(reader)}__fifo", fifo)
                    wiring.connect(m, given, fifo.i)
                    feeds[reader] = fifo.o, lanes

        def narrowed(reader: Reader, wanted: int) -> tuple[Any, int]:
            """What feeds a reader of words of `wanted` values, in such words or in some that divide them."""
            flow, lanes = feeds[reader]
            if lanes <= wanted:
                return flow, lanes
            splitter = Splitter(wanted * self._format(reader).bits, lanes // wanted)
            add(f"{self._input_name(reader)}__split", splitter)
            wiring.connect(m, flow, splitter.i)
            return splitter.o, wanted

        def gathered(reader: Reader, wanted: int) -> Any:
            """What feeds a reader of words of `wanted` values."""
            flow, lanes = narrowed(reader, wanted)
            if lanes == wanted:
                return flow
            gatherer = Gatherer(lanes * self._format(reader).bits, wanted // lanes)
            add(f"{self._input_name(reader)}__gather", gatherer)
            wiring.connect(m, flow, gatherer.i)
            return gatherer.o

        deliver(SOURCE, "input", wiring.flipped(self.i), self.in_lanes)
        for number, spec in enumerate(self.specs):
            name = self.names[number]
            unit: AddUnit | Stage | RowPool
            if isinstance(spec, AddSpec):
                unit = AddUnit(spec)
                add(name, unit)
                for k, port in enumerate((unit.a, unit.b)):
                    wiring.connect(m, gathered(Reader(number, k), spec.in_width), port)
            else:
                flow, lanes = narrowed(Reader(number, 0), spec.in_width)
                unit = stage_unit(spec, lanes)
                add(name, unit)
                wiring.connect(m, flow, unit.i)
            if self.taps:
                tap = getattr(self, f"tap_{name}")
                m.d.comb += [tap.strobe.eq(unit.o.valid & unit.o.ready), tap.payload.eq(unit.o.payload)]
            deliver(number, name, unit.o, spec.folding.lanes)
        flow, _ = narrowed(Reader(len(self.specs), 0), 1)
        argmax = Argmax(self.specs[-1].out.format, self.classes)
        add("argmax", argmax)
        m.d.comb += [
            argmax.i.payload.eq(flow.payload),
            argmax.i.valid.eq(flow.valid),
            flow.ready.eq(argmax.i.ready),
        ]
        wiring.connect(m, argmax.o, wiring.flipped(self.o))
        return m

    def _input_name(self, reader: Reader) -> str:
        """Of an input, where units before it are named after it."""
        name = self.names[reader.stage]
        sums = reader.stage < len(self.specs) and isinstance(self.specs[reader.stage], AddSpec)
        return f"{name}__{'ab'[reader.input]}" if sums else name


def _streams(unit: wiring.Component) -> list[tuple[str, Any]]:
    """The streams of a unit by name; those of an array are numbered."""
    found = []
    for name, member in unit.signature.members.items():
        if member.is_signature:
            ports = getattr(unit, name)
            many = bool(member.dimensions)
            found += [(f"{name}{k}" if many else name, port) for k, port in enumerate(ports if many else [ports])]
    return found
