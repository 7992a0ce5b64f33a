"""What stands where in a network's hardware: the generator's own walk, which here leaves a drawing's parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rtl_gen.kinds import Spec
from rtl_gen.network import Network, edge_at
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["Diagram", "Item", "Stream"]

Kind = Literal["input", "stage", "fork", "fifo", "split", "gather", "argmax"]


@dataclass(frozen=True)
class Item:
    """A unit of the datapath, or its input.

    Attributes
    ----------
    kind : str
    stage : int
        Its number; of what stands before an input that input's, of a fork that of whose output it hands on.
    input : int
        Which of the stage's inputs it stands before.
    before, after : int
        Values of a word, where it changes how many these are; of a fork its readers, of a FIFO its depth in words.
    """

    kind: Kind
    stage: int
    input: int = 0
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Stream:
    """Words from one item to another, by number: how many values, bits of each, and words of an inference."""

    start: int
    end: int
    lanes: int
    bits: int
    words: int


class Diagram(Network[tuple[int, int]]):
    """The items and streams of a network; what flows in the walk is the item that it comes from, and values of a word.

    Parameters
    ----------
    specs : sequence of Spec
    topology : Topology
        With the FIFOs that are built.
    in_lanes : int
        Values in an input word.
    """

    def __init__(self, specs: Sequence[Spec], topology: Topology, in_lanes: int):
        super().__init__(specs, topology)
        self.items: list[Item] = [Item("input", SOURCE)]
        self.streams: list[Stream] = []
        self.join((0, in_lanes), in_lanes)
        end = Reader(len(specs), 0)
        flow, _ = self.narrowed(end, 1)
        self._add(Item("argmax", len(specs)), [(end, flow)])

    def _add(self, item: Item, flows: Sequence[tuple[Reader, tuple[int, int]]]) -> int:
        number = len(self.items)
        self.items.append(item)
        for reader, (start, lanes) in flows:
            edge = edge_at(self.specs, reader)
            words = edge.positions * edge.channels // lanes
            self.streams.append(Stream(start, number, lanes, edge.format.bits, words))
        return number

    def add_node(self, number: int, spec: Spec, flows: Sequence[tuple[int, int]], lanes: int) -> tuple[int, int]:
        reads = [(Reader(number, k), flow) for k, flow in enumerate(flows)]
        return self._add(Item("stage", number), reads), spec.folding.lanes

    def add_fork(
        self, stage: int, flow: tuple[int, int], lanes: int, readers: Sequence[Reader]
    ) -> Sequence[tuple[int, int]]:
        number = self._add(Item("fork", stage, after=len(readers)), [(readers[0], flow)])
        return [(number, lanes)] * len(readers)

    def add_fifo(self, reader: Reader, flow: tuple[int, int], lanes: int, depth: int | None) -> tuple[int, int]:
        return self._add(Item("fifo", *reader, after=depth or 0), [(reader, flow)]), lanes

    def add_splitter(self, reader: Reader, flow: tuple[int, int], lanes: int, wanted: int) -> tuple[int, int]:
        return self._add(Item("split", *reader, lanes, wanted), [(reader, flow)]), wanted

    def add_gatherer(self, reader: Reader, flow: tuple[int, int], lanes: int, wanted: int) -> tuple[int, int]:
        return self._add(Item("gather", *reader, lanes, wanted), [(reader, flow)]), wanted
