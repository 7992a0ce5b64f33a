"""The whole network as one stream component: stages, forks, FIFOs, width conversions and the argmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.argmax import Argmax, output_layout
from rtl_gen.fifo import Fifo
from rtl_gen.fork import Fork
from rtl_gen.identifiers import identifiers
from rtl_gen.kinds import Spec
from rtl_gen.network import Network, edge_at
from rtl_gen.stream import Gatherer, Splitter
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["Top", "input_name"]


def input_name(names: Sequence[str], specs: Sequence[Spec], reader: Reader) -> str:
    """Of an input, where units before it are named after it.

    Parameters
    ----------
    names : sequence of str
        Of the stages in the hardware, and behind them of the argmax.
    specs : sequence of Spec
    reader : Reader
    """
    inputs = len(specs[reader.stage].inputs) if reader.stage < len(specs) else 1
    return names[reader.stage] if inputs == 1 else f"{names[reader.stage]}__i{reader.input}"


class Top(wiring.Component):
    """Voxels or pixels in, logits and class index out; inferences back to back, without a reset between them.

    Parameters
    ----------
    specs : sequence of Spec
    in_lanes : int
        Values in a word of the input stream.
    topology : Topology, optional
        What each stage reads, and the FIFOs; without one the stages are a chain.
    taps : bool
        Bring out every stage's output: `tap_NAME__payload` is transferred in each cycle with `tap_NAME__strobe`.

    Attributes
    ----------
    names : list of str
        Of the units in the hardware, and behind them of the argmax.
    """

    def __init__(
        self,
        specs: Sequence[Spec],
        in_lanes: int,
        topology: Topology | None = None,
        *,
        taps: bool = False,
    ):
        self.specs, self.in_lanes, self.taps = list(specs), in_lanes, taps
        self.topology = topology or Topology.chain(len(self.specs))
        inner = [tap.stage for spec in self.specs for tap in spec.taps if len(spec.taps) > 1]
        known = identifiers([*(spec.name for spec in self.specs), *inner])
        self.names = [*known[: len(self.specs)], "argmax"]
        #: By the stage that is observed.
        self.tap_names = dict(zip(inner, known[len(self.specs) :], strict=True)) | {
            spec.taps[0].stage: name for spec, name in zip(self.specs, known, strict=False) if len(spec.taps) == 1
        }
        if None in self.topology.fifos.values():
            raise ValueError("a FIFO without end is only predicted, not built")
        self.family = self.specs[0].family
        last = self.specs[-1].out
        self.classes = last.positions * last.channels
        first = edge_at(self.specs, self.topology.readers[SOURCE][0]).format
        members = {
            "i": In(stream.Signature(unsigned(in_lanes * first.bits))),
            "o": Out(stream.Signature(output_layout(last.format, self.classes))),
        }
        if taps:
            for tap in (tap for spec in self.specs for tap in spec.taps):
                signature = wiring.Signature({"strobe": Out(1), "payload": Out(unsigned(tap.lanes * tap.bits))})
                members[f"tap_{self.tap_names[tap.stage]}"] = Out(signature)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        network = _Datapath(m, self)
        network.join(wiring.flipped(self.i), self.in_lanes)
        flow, _ = network.narrowed(Reader(len(self.specs), 0), 1)
        argmax = Argmax(self.specs[-1].out.format, self.classes)
        network.add("argmax", argmax)
        m.d.comb += [
            argmax.i.payload.eq(flow.payload),
            argmax.i.valid.eq(flow.valid),
            flow.ready.eq(argmax.i.ready),
        ]
        wiring.connect(m, argmax.o, wiring.flipped(self.o))
        return m


class _Datapath(Network[Any]):
    """The network's units as submodules, joined by streams."""

    def __init__(self, m: Module, top: Top):
        super().__init__(top.specs, top.topology)
        self.m, self.top = m, top

    def add(self, name: str, unit: wiring.Component) -> None:
        """A submodule whose streams carry its name, so that the Verilog can be read."""
        self.m.submodules[name] = unit
        for path, port in _streams(unit):
            for member in ("payload", "valid", "ready"):
                Value.cast(getattr(port, member)).name = f"{name}__{path}__{member}"

    def add_fork(self, stage: int, flow: Any, lanes: int, readers: Sequence[Reader]) -> Sequence[Any]:
        fork = Fork(lanes * self._bits(readers[0]), len(readers))
        self.add(f"{'input' if stage == SOURCE else self.top.names[stage]}__fork", fork)
        wiring.connect(self.m, flow, fork.i)
        return list(fork.o)

    def add_fifo(self, reader: Reader, flow: Any, lanes: int, depth: int | None) -> Any:
        assert depth is not None  # Top refuses it
        return self._between(reader, flow, "fifo", Fifo(lanes * self._bits(reader), depth, self.top.family))

    def add_splitter(self, reader: Reader, flow: Any, lanes: int, wanted: int) -> Any:
        return self._between(reader, flow, "split", Splitter(wanted * self._bits(reader), lanes // wanted))

    def add_gatherer(self, reader: Reader, flow: Any, lanes: int, wanted: int) -> Any:
        return self._between(reader, flow, "gather", Gatherer(lanes * self._bits(reader), wanted // lanes))

    def add_node(self, number: int, spec: Spec, flows: Sequence[Any], lanes: int) -> Any:
        unit = spec.unit(lanes)
        self.add(self.top.names[number], unit)
        for index, flow in enumerate(flows):
            wiring.connect(self.m, flow, getattr(unit, f"i{index}"))
        if self.top.taps:
            self._observe(spec, unit)
        return unit.o  # type: ignore[attr-defined]

    def _observe(self, spec: Spec, unit: Any) -> None:
        """The taps of a unit: of its output stream, or where it computes several stages, of what it says it makes."""
        for number, tap in enumerate(spec.taps):
            port = getattr(self.top, f"tap_{self.top.tap_names[tap.stage]}")
            strobe, payload = unit.o.valid & unit.o.ready, unit.o.payload
            if len(spec.taps) > 1:
                strobe, payload = unit.observed(number)
            self.m.d.comb += [port.strobe.eq(strobe), port.payload.eq(payload)]

    def _between(self, reader: Reader, flow: Any, kind: str, unit: Fifo | Splitter | Gatherer) -> Any:
        """The output of a unit before an input."""
        self.add(f"{input_name(self.top.names, self.specs, reader)}__{kind}", unit)
        wiring.connect(self.m, flow, unit.i)
        return unit.o

    def _bits(self, reader: Reader) -> int:
        """Of a value at an input."""
        return edge_at(self.specs, reader).format.bits


def _streams(unit: wiring.Component) -> list[tuple[str, Any]]:
    """The streams of a unit by name; those of an array are numbered."""
    found = []
    for name, member in unit.signature.members.items():
        if member.is_signature:
            ports = getattr(unit, name)
            many = bool(member.dimensions)
            found += [(f"{name}{k}" if many else name, port) for k, port in enumerate(ports if many else [ports])]
    return found
