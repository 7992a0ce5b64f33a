"""How the stages of a network are joined: one walk, which the RTL and the event model fill with units of their own.

Between a stage's output and an input that reads it stand, in this order and where they are needed: a fork, a FIFO, a
splitter of wide words, and before a sum a gatherer of narrow ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from qtt_hw.ir.nodes import Edge
from rtl_gen.add import AddSpec
from rtl_gen.folding import StageSpec
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["Network", "Spec", "edge_at"]

#: A stage, or a sum of two streams.
Spec = StageSpec | AddSpec
#: A stream of words, as the RTL or the event model has it.
Flow = TypeVar("Flow")


def edge_at(specs: Sequence[Spec], reader: Reader) -> Edge:
    """What is read at an input; the argmax reads the last stage."""
    if reader.stage == len(specs):
        return specs[-1].out
    spec = specs[reader.stage]
    return spec.inputs[reader.input] if isinstance(spec, AddSpec) else spec.x


class Network(ABC, Generic[Flow]):
    """The walk over a network's stages.

    Parameters
    ----------
    specs : sequence of StageSpec and AddSpec
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
            if isinstance(spec, AddSpec):
                a, b = (self._gathered(Reader(number, k), spec.in_width) for k in range(2))
                output = self.add_sum(number, spec, a, b)
            else:
                output = self.add_stage(number, spec, *self.narrowed(Reader(number, 0), spec.in_width))
            self._deliver(number, output, spec.folding.lanes)

    def narrowed(self, reader: Reader, wanted: int) -> tuple[Flow, int]:
        """What an input reads, in words of `wanted` values or of some that divide them; and how many a word has."""
        flow, lanes = self._flows[reader], self.lanes[reader]
        return (flow, lanes) if lanes <= wanted else (self.add_splitter(reader, flow, lanes, wanted), wanted)

    def _gathered(self, reader: Reader, wanted: int) -> Flow:
        flow, lanes = self.narrowed(reader, wanted)
        return flow if lanes == wanted else self.add_gatherer(reader, flow, lanes, wanted)

    def _deliver(self, stage: int, flow: Flow, lanes: int) -> None:
        readers = self.topology.readers[stage]
        flows = [flow] if len(readers) == 1 else self.add_fork(stage, flow, lanes, readers)
        for reader, given in zip(readers, flows, strict=True):
            self.lanes[reader] = lanes
            if reader in self.topology.fifos:
                given = self.add_fifo(reader, given, lanes, self.topology.fifos[reader])
            self._flows[reader] = given

    @abstractmethod
    def add_stage(self, number: int, spec: StageSpec, flow: Flow, lanes: int) -> Flow:
        """The output of a stage that reads words of `lanes` values."""

    @abstractmethod
    def add_sum(self, number: int, spec: AddSpec, a: Flow, b: Flow) -> Flow:
        """The output of a sum."""

    @abstractmethod
    def add_fork(self, stage: int, flow: Flow, lanes: int, readers: Sequence[Reader]) -> Sequence[Flow]:
        """A stage's output for each of its readers."""

    @abstractmethod
    def add_fifo(self, reader: Reader, flow: Flow, lanes: int, depth: int | None) -> Flow:
        """The output of a FIFO before an input of a sum."""

    @abstractmethod
    def add_splitter(self, reader: Reader, flow: Flow, lanes: int, wanted: int) -> Flow:
        """Words of `lanes` values as words of `wanted`, fewer."""

    @abstractmethod
    def add_gatherer(self, reader: Reader, flow: Flow, lanes: int, wanted: int) -> Flow:
        """Words of `lanes` values as words of `wanted`, more."""
