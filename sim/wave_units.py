"""The units of a design between which streams run, as a trace shows them: from a BUILD's plan, by the Verilog's names.

They are one more walk over the network (`rtl_gen.network`), beside the one that makes the RTL; what only changes the
width of words is left out, since the streams on both sides of it are those of its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge, Graph
from rtl_gen.identifiers import identifiers
from rtl_gen.kinds import Spec
from rtl_gen.manifest import Manifest
from rtl_gen.network import Network, edge_at
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.plan import load_plan
from rtl_gen.top import input_name
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["Stream", "Unit", "units_of"]


@dataclass(frozen=True)
class Stream:
    """A stream at a port of a unit.

    Parameters
    ----------
    name : str
        Of the port: i0, o.
    wires : str
        What the names of its wires in the top module begin with, before `__payload`, `__valid` and `__ready`.
    lanes : int
    format : Format
        Of a lane.
    shape : tuple of int
        D, H, W and C of a sample, whose values pass in this order.
    last : bool
        A bit above the lanes is set in a sample's last word.
    """

    name: str
    wires: str
    lanes: int
    format: Format
    shape: tuple[int, int, int, int]
    last: bool = False

    @property
    def words(self) -> int:
        """Of a sample."""
        d, h, w, c = self.shape
        return d * h * w * c // self.lanes

    @property
    def bits(self) -> int:
        """Of a word."""
        return self.lanes * self.format.bits + self.last


@dataclass(frozen=True)
class Unit:
    """A stage, a fork, a FIFO, or an end of the network.

    Parameters
    ----------
    name : str
        In the Verilog.
    title : str
        What it is, in a few words.
    streams : tuple of Stream
    stage : str, optional
        The stage's own name.
    depth : int, optional
        Words that a FIFO holds; its streams are i and o.
    """

    name: str
    title: str
    streams: tuple[Stream, ...]
    stage: str | None = None
    depth: int | None = None


def units_of(build: Path, manifest: Manifest, graph: Graph) -> list[Unit]:
    """The units of a BUILD's design, in the order in which a sample meets them.

    Raises
    ------
    ValueError
        Naming the file, when the plan is not the model's or the design has not the plan's streams.
    """
    plan = load_plan(build / manifest.plan)
    specs, topology = hardware_of(graph, plan, build / manifest.plan)
    walk = _Walk(specs, topology)
    source = walk.stream("i", "i", plan.input_lanes, graph.input.edge)
    walk.units.append(Unit("input_stream", f"the network's input, {graph.name}", (source,)))
    walk.join(plan.input_lanes, plan.input_lanes)
    walk.narrowed(Reader(len(specs), 0), 1)
    last = specs[-1].out
    classes = last.positions * last.channels
    logits = Stream("i", "argmax__i", 1, last.format, (1, 1, 1, classes))
    value = Format(manifest.output.value_bits, True, last.format.frac)
    output = Stream("o", "o", 1, value, (1, 1, 1, classes + 1), last=True)
    walk.units.append(Unit("argmax", "the network's output: every logit, then the class", (logits, output)))
    _check(build, manifest, walk.units)
    return walk.units


class _Walk(Network[int]):
    """Collects units; a flow is how many values its words have."""

    def __init__(self, specs: Sequence[Spec], topology: Topology):
        super().__init__(specs, topology)
        self.units: list[Unit] = []
        self._names = [*identifiers([spec.node.name for spec in specs]), "argmax"]

    def stream(self, name: str, wires: str, lanes: int, edge: Edge) -> Stream:
        d, h, w, c = edge.shape
        return Stream(name, wires, lanes, edge.format, (d, h, w, c))

    def add_node(self, number: int, spec: Spec, flows: Sequence[int], lanes: int) -> int:
        name, node = self._names[number], spec.node
        ports = [(f"i{k}", given, edge) for k, (given, edge) in enumerate(zip(flows, spec.inputs, strict=True))]
        ports.append(("o", spec.folding.lanes, spec.out))
        streams = tuple(self.stream(port, f"{name}__{port}", count, edge) for port, count, edge in ports)
        self.units.append(Unit(name, f"{type(node).__name__} {node.name}", streams, stage=node.name))
        return spec.folding.lanes

    def add_fork(self, stage: int, flow: int, lanes: int, readers: Sequence[Reader]) -> Sequence[int]:
        what, name = ("input", "the input") if stage == SOURCE else (self._names[stage], self.specs[stage].node.name)
        ports = ["i", *(f"o{k}" for k in range(len(readers)))]
        edge = edge_at(self.specs, readers[0])
        streams = tuple(self.stream(port, f"{what}__fork__{port}", flow, edge) for port in ports)
        self.units.append(Unit(f"{what}__fork", f"{name} to its {len(readers)} readers", streams))
        return [flow] * len(readers)

    def add_fifo(self, reader: Reader, flow: int, lanes: int, depth: int | None) -> int:
        name = f"{input_name(self._names, self.specs, reader)}__fifo"
        edge = edge_at(self.specs, reader)
        streams = tuple(self.stream(port, f"{name}__{port}", flow, edge) for port in ("i", "o"))
        where = f"input {reader.input} of {self.specs[reader.stage].node.name}"
        self.units.append(Unit(name, f"FIFO of {depth} words before {where}", streams, depth=depth))
        return flow

    def add_splitter(self, reader: Reader, flow: int, lanes: int, wanted: int) -> int:
        return wanted

    def add_gatherer(self, reader: Reader, flow: int, lanes: int, wanted: int) -> int:
        return wanted


def _check(build: Path, manifest: Manifest, units: Sequence[Unit]) -> None:
    """Raise ValueError where the top module has not the streams, each of its width."""
    text = "".join((build / name).read_text(encoding="utf-8") for name in manifest.sources.simulation)
    top = re.search(rf"^module {manifest.top}\b.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    wires = r"^ +(?:wire|reg|input|output)(?: wire| reg)? (?:\[(\d+):0\] )?(\w+) *;"
    found = re.findall(wires, top[0], re.MULTILINE) if top else []
    widths = {name: int(high or 0) + 1 for high, name in found}
    for unit in units:
        for stream in unit.streams:
            for part, bits in (("payload", stream.bits), ("valid", 1), ("ready", 1)):
                wire = f"{stream.wires}__{part}"
                if widths.get(wire) != bits:
                    raise ValueError(
                        f"{build}: the plan's stream {wire} of {bits} bits is not in the design; emit it again"
                    )
