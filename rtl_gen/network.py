"""How the stages of a network are joined: one walk, which the RTL and the event model fill with units of their own.

Between a stage's output and an input that reads it stand, in this order and where they are needed: a fork, a FIFO, a
splitter of wide words, and a gatherer of narrow ones before a unit that does not gather by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from qtt_hw.graph import Edge
from rtl_gen.kinds import Spec
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["Network", "edge_at"]

#: A stream of words, as the RTL or the event model has it.
Flow = TypeVar("Flow")


def edge_at(specs: Sequence[Spec], reader: Reader) -> Edge:
    """What is read at an input; the argmax reads the last stage."""
    if reader.stage == len(specs):
        return specs[-1].out
    return specs[reader.stage].inputs[reader.input]


class Network(ABC, Generic[Flow]):
    """The walk over a network's stages.

    Parameters
    ----------
    specs : sequence of Spec
    topology : Topology

    Attributes
    ----------
    lanes : dict of Reader to int
        Values in a word of the stream that an input reads, before it is brought to its reader's width.
    """

    def __init__(self, specs: Sequence[Spec], topology: Topology):
        self.specs, self.topology = specs, topology
        self.lanes: dict[Reader, int] = {}
        self._flows: dict[Reader, Flow] = {}

    def join(self, source: Flow, lanes: int) -> None:
        """Put in every stage and what stands before it; `source` brings the input, so many values a word."""
        self._deliver(SOURCE, source, lanes)
        for number, spec in enumerate(self.specs):
            inputs = [self._read(Reader(number, k), spec) for k in range(len(spec.inputs))]
            output = self.add_node(number, spec, [flow for flow, _ in inputs], inputs[0][1])
            self._deliver(number, output, spec.folding.lanes)

    def narrowed(self, reader: Reader, wanted: int) -> tuple[Flow, int]:
        """What an input reads, in words of `wanted` values or of some that divide them; and how many a word has."""
        flow, lanes = self._flows[reader], self.lanes[reader]
        return (flow, lanes) if lanes <= wanted else (self.add_splitter(reader, flow, lanes, wanted), wanted)

    def _read(self, reader: Reader, spec: Spec) -> tuple[Flow, int]:
        """What an input reads, in words that its unit takes; and how many values a word has."""
        flow, lanes = self.narrowed(reader, spec.in_width)
        if spec.gathers or lanes == spec.in_width:
            return flow, lanes
        return self.add_gatherer(reader, flow, lanes, spec.in_width), spec.in_width

    def _deliver(self, stage: int, flow: Flow, lanes: int) -> None:
        readers = self.topology.readers[stage]
        flows = [flow] if len(readers) == 1 else self.add_fork(stage, flow, lanes, readers)
        for reader, given in zip(readers, flows, strict=True):
            self.lanes[reader] = lanes
            if reader in self.topology.fifos:
                given = self.add_fifo(reader, given, lanes, self.topology.fifos[reader])
            self._flows[reader] = given

    @abstractmethod
    def add_node(self, number: int, spec: Spec, flows: Sequence[Flow], lanes: int) -> Flow:
        """The output of a stage that reads words of `lanes` values at each of its inputs."""

    @abstractmethod
    def add_fork(self, stage: int, flow: Flow, lanes: int, readers: Sequence[Reader]) -> Sequence[Flow]:
        """A stage's output for each of its readers."""

    @abstractmethod
    def add_fifo(self, reader: Reader, flow: Flow, lanes: int, depth: int | None) -> Flow:
        """The output of a FIFO before an input."""

    @abstractmethod
    def add_splitter(self, reader: Reader, flow: Flow, lanes: int, wanted: int) -> Flow:
        """Words of `lanes` values as words of `wanted`, fewer."""

    @abstractmethod
    def add_gatherer(self, reader: Reader, flow: Flow, lanes: int, wanted: int) -> Flow:
        """Words of `lanes` values as words of `wanted`, more."""
