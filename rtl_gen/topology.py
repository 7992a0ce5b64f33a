"""Which streams each stage reads, and the FIFOs at sums: what makes a network of a list of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from qtt_hw.graph import INPUT, Graph

__all__ = ["SOURCE", "Reader", "Topology", "compatible"]

#: The producer of the network's input.
SOURCE = -1


class Reader(NamedTuple):
    """An input of a stage, both by number; the stage behind the last is the argmax."""

    stage: int
    input: int


@dataclass(frozen=True)
class Topology:
    """The connections of a list of stages, by number in topological order.

    Parameters
    ----------
    reads : tuple of tuple of int, [stages][inputs]
        The stage that produces each input of each stage, or `SOURCE`.
    fifos : mapping of Reader to int or None
        Words of the stream that the FIFO at an input of a sum holds; None is without end, in predictions only.

    Raises
    ------
    ValueError
        When a stage reads one that does not stand before it, or when nothing reads a stage but the last.
    """

    reads: tuple[tuple[int, ...], ...]
    fifos: Mapping[Reader, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for stage, sources in enumerate(self.reads):
            for source in sources:
                if not SOURCE <= source < stage:
                    raise ValueError(f"stage number {stage} reads number {source}, which does not stand before it")
        for stage, readers in self.readers.items():
            if not readers:
                raise ValueError(f"nothing reads stage number {stage}")

    @classmethod
    def chain(cls, stages: int) -> Topology:
        """Every stage reads the one before."""
        return cls(tuple((stage - 1,) for stage in range(stages)))

    @classmethod
    def of(
        cls,
        graph: Graph,
        fifos: Mapping[tuple[str, int], int] | None = None,
        engines: Sequence[Sequence[str]] = (),
    ) -> Topology:
        """Of a graph's stages without its reshapes, with FIFOs by the name of the sum and its input.

        Each engine's stages, by name, are one; its first stage reads what it reads.

        Raises ValueError naming a FIFO's place that the graph does not have.
        """
        numbers, reads, names = {INPUT: SOURCE}, [], list[str]()
        engine = {name: stages[0] for stages in engines for name in stages[1:]}
        for node in graph.nodes:
            if node.relabels or node.name in engine:
                numbers[node.name] = numbers[engine.get(node.name, node.inputs[0])]
                continue
            reads.append(tuple(numbers[name] for name in node.inputs))
            numbers[node.name] = len(names)
            names.append(node.name)
        depths = dict[Reader, int | None]()
        for (name, number), depth in (fifos or {}).items():
            if name not in names or not 0 <= number < len(reads[numbers[name]]):
                raise ValueError(f"{graph.name} has no input {number} of a stage {name} for a FIFO")
            if len(reads[numbers[name]]) == 1:
                raise ValueError(f"stage {name}: reads one stream, a FIFO stands at a sum")
            depths[Reader(numbers[name], number)] = depth
        return cls(tuple(reads), depths)

    @cached_property
    def readers(self) -> dict[int, list[Reader]]:
        """Who reads each stage's output, and the network's input; in the order of the stages."""
        found: dict[int, list[Reader]] = {stage: [] for stage in range(SOURCE, len(self.reads))}
        for stage, sources in enumerate(self.reads):
            for number, source in enumerate(sources):
                found[source].append(Reader(stage, number))
        found[len(self.reads) - 1].append(Reader(len(self.reads), 0))
        return found

    def with_fifos(self, fifos: Mapping[Reader, int | None]) -> Topology:
        """The same connections with other FIFOs."""
        return Topology(self.reads, fifos)


def compatible(lanes: int, width: int) -> bool:
    """Whether words of `lanes` values can be gathered to, or split into, words of `width`."""
    return lanes % width == 0 or width % lanes == 0
