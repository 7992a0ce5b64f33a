"""What an engine computes: contractions that read its stream or one another, and sums behind their requantisers.

A sum is done by the stage that makes one of its summands, as that one's results leave: what it adds to them, position
by position, is a stream that comes before. So a residual block is a few contractions and no stage more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, Node
from rtl_gen.engine.schedule import OUTSIDE, Read

__all__ = ["Segment", "SegmentStage", "Sum"]


@dataclass(frozen=True, eq=False)
class Sum:
    """What a stage adds to its results.

    Attributes
    ----------
    node : Add
    source : int
        The stage that makes the other summand, or `OUTSIDE`.
    x : Edge
        That summand.
    place : int
        Which of the sum's inputs the stage's own results are.
    """

    node: Add
    source: int
    x: Edge
    place: int

    def inputs(self, own: Edge) -> tuple[Edge, Edge]:
        """Both summands in the sum's order."""
        return (own, self.x) if self.place == 0 else (self.x, own)

    @property
    def shifts(self) -> tuple[int, int]:
        """What the stage's own results, and the other summand, are shifted left by."""
        return self.node.left[self.place], self.node.left[1 - self.place]


@dataclass(frozen=True, eq=False)
class SegmentStage:
    """A contraction, and the sum behind it.

    Attributes
    ----------
    node : Contraction
    x : Edge
    source : int
        The stage that makes what it reads, or `OUTSIDE`.
    sum : Sum, optional
    room : (int, int), optional
        Least and greatest sum of products that it holds, where it is to take other weights.
    """

    node: Contraction
    x: Edge
    source: int = OUTSIDE
    sum: Sum | None = None
    room: tuple[int, int] | None = None

    @cached_property
    def accumulator(self) -> tuple[int, int]:
        """Range of its sums of products."""
        return self.node.accumulator(self.x) if self.room is None else self.room

    @cached_property
    def made(self) -> Edge:
        """What leaves it."""
        own: Edge = self.node.output(self.x)
        return own if self.sum is None else self.sum.node.output(*self.sum.inputs(own))


@dataclass(frozen=True, eq=False)
class Segment:
    """Stages of a graph between one stream and another.

    Attributes
    ----------
    names : tuple of str
        Of contractions and sums, in the order of the graph.
    stages : tuple of SegmentStage
        The contractions in that order; what the last makes leaves.
    """

    names: tuple[str, ...]
    stages: tuple[SegmentStage, ...]

    @staticmethod
    def chain(nodes: Sequence[Contraction], inputs: Sequence[Edge]) -> Segment:
        """Contractions of which each reads the one before."""
        pairs = enumerate(zip(nodes, inputs, strict=True))
        stages = tuple(SegmentStage(node, x, number - 1 if number else OUTSIDE) for number, (node, x) in pairs)
        return Segment(tuple(node.name for node in nodes), stages)

    def widened(self, room: Mapping[str, tuple[int, int]]) -> Segment:
        """The same with room for sums of products, by contraction."""
        return Segment(self.names, tuple(replace(stage, room=room[stage.node.name]) for stage in self.stages))

    @staticmethod
    def of(graph: Graph, names: Sequence[str]) -> Segment:
        """Of the stages with these names.

        Raises
        ------
        ValueError
            Naming a stage that an engine cannot compute, or that does not belong to these.
        """
        return _Reader(graph, names).segment()

    @property
    def nodes(self) -> tuple[Contraction, ...]:
        return tuple(stage.node for stage in self.stages)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """What each stage contracts."""
        return tuple(stage.x for stage in self.stages)

    @property
    def made(self) -> Edge:
        """What leaves it."""
        return self.stages[-1].made

    @property
    def last(self) -> Node:
        """Whose output leaves it."""
        stage = self.stages[-1]
        return stage.node if stage.sum is None else stage.sum.node

    @property
    def sums(self) -> tuple[tuple[SegmentStage, Sum], ...]:
        return tuple((stage, stage.sum) for stage in self.stages if stage.sum is not None)

    @property
    def adds_outside(self) -> bool:
        """Whether a sum adds words of the stream."""
        return any(one.source == OUTSIDE for _, one in self.sums)

    def reads(self, rows: Sequence[int]) -> list[list[Read]]:
        """What each stage reads, where the ring of the stream and those of what stages make have so many rows."""
        found = []
        for stage in self.stages:
            reads = [Read(stage.source, rows[stage.source + 1])]
            if stage.sum is not None:
                reads.append(Read(stage.sum.source, rows[stage.sum.source + 1], summand=True))
            found.append(reads)
        return found


class _Reader:
    """A segment in the making."""

    def __init__(self, graph: Graph, names: Sequence[str]):
        self.graph, self.names = graph, tuple(names)
        self.nodes = {node.name: node for node in graph.nodes}
        #: Who reads what each stage makes, in whatever shape, once for each of its inputs.
        self.readers: dict[str, list[str]] = {}
        for node in graph.nodes:
            if not node.relabels:
                for source in node.inputs:
                    self.readers.setdefault(self._producer(source), []).append(node.name)
        #: Of what is made: by which stage; and its stages so far.
        self.made: dict[str, int] = {}
        self.stages: list[SegmentStage] = []
        self.outside = ""

    def segment(self) -> Segment:
        order = {node.name: number for number, node in enumerate(self.graph.nodes)}
        for before, name in zip(self.names, self.names[1:], strict=False):
            if order[name] <= order[before]:
                raise ValueError(f"stage {name}: an engine's stages stand in the order of the model")
        self.outside = self._origin(self.nodes[self.names[0]].inputs[0])
        for name in self.names:
            node = self.nodes[name]
            if isinstance(node, Contraction):
                x, source = self.graph.edges[node.inputs[0]], self._source(node, node.inputs[0])
                self.stages.append(SegmentStage(node, x, source))
                self.made[name] = len(self.stages) - 1
            elif isinstance(node, Add):
                self._add(node)
            else:
                raise ValueError(f"stage {name}: an engine's stages are contractions, and sums of two streams")
        for name in self.names[:-1]:
            readers = self.readers.get(name, [])
            if not readers or not set(readers) <= set(self.names):
                raise ValueError(f"stage {name}: only what an engine's last stage makes is read outside of it")
        if self.made[self.names[-1]] != len(self.stages) - 1:
            raise ValueError(f"stage {self.names[-1]}: an engine's last stage stands behind all others")
        return Segment(self.names, tuple(self.stages))

    def _origin(self, name: str) -> str:
        """Of a stream: the stage whose values it has in the same order and shape."""
        while name != INPUT and (node := self.nodes[name]).relabels:
            if self.graph.edges[name] != self.graph.edges[node.inputs[0]]:
                break
            name = node.inputs[0]
        return name

    def _producer(self, name: str) -> str:
        """Of a stream: the stage that makes it, behind reshapes of all kinds."""
        while name != INPUT and self.nodes[name].relabels:
            name = self.nodes[name].inputs[0]
        return name

    def _source(self, node: Node, name: str) -> int:
        origin = self._origin(name)
        if origin in self.made:
            return self.made[origin]
        if origin != self.outside:
            raise ValueError(
                f"stage {node.name}: reads {origin}, which is neither in its engine nor what that reads, {self.outside}"
            )
        return OUTSIDE

    def _add(self, node: Add) -> None:
        """Give the sum to the last stage whose results only it reads."""
        origins = [self._origin(name) for name in node.inputs]
        own = [
            (self.made[origin], place)
            for place, origin in enumerate(origins)
            if isinstance(self.nodes.get(origin), Contraction)
            and origin in self.made
            and self.stages[self.made[origin]].sum is None
            and len(self.readers[origin]) == 1
        ]
        if not own:
            raise ValueError(f"stage {node.name}: an engine adds to results of its own that only the sum reads")
        host, place = max(own)
        source = self._source(node, node.inputs[1 - place])
        if source >= host:
            raise ValueError(f"stage {node.name}: it adds what is made after {self.stages[host].node.name}")
        stage, x = self.stages[host], self.graph.edges[node.inputs[1 - place]]
        self.stages[host] = SegmentStage(stage.node, stage.x, stage.source, Sum(node, source, x, place))
        self.made[node.name] = host
