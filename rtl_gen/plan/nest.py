"""A graph as series and parallels: chains of stages and blocks, a block being chains from one stream to a join."""

from __future__ import annotations

from dataclasses import dataclass

from qtt_hw.graph import INPUT, Graph, Node

__all__ = ["Block", "DoesNotNest", "Series", "nest", "producer", "stream_of"]


class DoesNotNest(ValueError):
    """A graph whose branches do not nest."""


@dataclass(frozen=True)
class Block:
    """A stage that joins branches from the stream that all of them read; a branch may be empty."""

    join: Node
    branches: tuple[Series, ...]


#: In the order of the stream; reshapes are left out.
Series = tuple[Node | Block, ...]


def producer(graph: Graph, name: str) -> str:
    """The stage whose stream a name stands for, behind reshapes; `INPUT` for the network's own."""
    nodes = {node.name: node for node in graph.nodes}
    while name in nodes and nodes[name].relabels:
        name = nodes[name].inputs[0]
    return name


@dataclass(frozen=True)
class _Flow:
    """The stages by name, what each reads, and the stream through which everything that it reads comes."""

    nodes: dict[str, Node]
    reads: dict[str, tuple[str, ...]]
    gate: dict[str, str]
    depth: dict[str, int]

    @classmethod
    def of(cls, graph: Graph) -> _Flow:
        flow = cls({}, {}, {}, {INPUT: 0})
        for node in graph.nodes:
            if not node.relabels:
                flow._add(node, tuple(producer(graph, name) for name in node.inputs))
        return flow

    def _add(self, node: Node, reads: tuple[str, ...]) -> None:
        self.nodes[node.name], self.reads[node.name] = node, reads
        gate = reads[0]
        for name in reads[1:]:
            while name != gate:
                if self.depth[name] > self.depth[gate]:
                    name = self.gate[name]
                else:
                    gate = self.gate[gate]
        self.gate[node.name], self.depth[node.name] = gate, self.depth[gate] + 1

    def series(self, end: str, start: str) -> Series:
        """What lies between two streams, the second of which everything in the first comes through."""
        found: list[Node | Block] = []
        while end != start:
            node = self.nodes[end]
            if len(node.inputs) > 1:
                branches = tuple(self.series(name, self.gate[end]) for name in self.reads[end])
                found.append(Block(node, branches))
            else:
                found.append(node)
            end = self.gate[end]
        return tuple(reversed(found))


def _names(series: Series) -> list[str]:
    found = []
    for item in series:
        if isinstance(item, Block):
            found += [name for branch in item.branches for name in _names(branch)] + [item.join.name]
        else:
            found.append(item.name)
    return found


def nest(graph: Graph) -> Series:
    """The whole graph as a series; raises DoesNotNest naming a stage where its branches do not."""
    flow = _Flow.of(graph)
    end = producer(graph, graph.nodes[-1].name)
    found = flow.series(end, INPUT)
    names = _names(found)
    for name in flow.nodes:
        if names.count(name) > 1:
            raise DoesNotNest(f"stage {name}: it lies on branches of two joins of which neither is within the other")
    return found


def stream_of(graph: Graph, name: str) -> int:
    """Channels of the stream that a name stands for."""
    return graph.edges[producer(graph, name)].channels
