"""What is planned: the stages of a graph with their choices, nested as its branches are, along all free paths."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from qtt_hw.graph import Edge, Graph, Node
from rtl_gen.families import Family
from rtl_gen.kinds import kind_of
from rtl_gen.kinds.choices import JoinChoices, StageChoices
from rtl_gen.plan.engines import EngineChoice, Engines
from rtl_gen.plan.front import Items, Join, Slot, Solution, solve
from rtl_gen.plan.nest import Block, DoesNotNest, Series, nest, stream_of
from rtl_gen.plan.pieces import pieces
from rtl_gen.plan.plan import Foldings
from rtl_gen.plan.totals import Budget

__all__ = ["Alternatives", "Problem", "along", "choices_of"]

#: The stages of each path along which a layer can be contracted, by the layer's name and the path's text.
Alternatives = Mapping[str, Mapping[str, Sequence[Node]]]

#: A stage with one lane and its least ring may be so many times slower than its multiplications.
SLOWEST = 64


def _contracts(node: Node, layer: str) -> bool:
    """Whether a stage is a step along a layer's path: what brings the input into the layer's order is not."""
    return node.source == layer and node.weight_bits > 0


def along(graph: Graph, alternatives: Alternatives, paths: Mapping[str, str]) -> Graph:
    """The graph with layers contracted along other paths."""
    nodes: list[Node] = []
    ends: dict[str, str] = {}  # the end of a layer's stages -> that of those in their place
    replaced: dict[str, str] = {}
    for node in graph.nodes:
        inputs = tuple(ends.get(name, name) for name in node.inputs)
        if node.source not in paths or not _contracts(node, node.source):
            nodes.append(replace(node, inputs=inputs))
            continue
        if node.source not in replaced:
            for other in alternatives[node.source][paths[node.source]]:
                nodes.append(replace(other, inputs=inputs))
                inputs = (other.name,)
            replaced[node.source] = inputs[0]
        ends[node.name] = replaced[node.source]
    return replace(graph, nodes=tuple(nodes))


@dataclass(frozen=True)
class Problem:
    """The slots and blocks of a graph, and how its solutions are read."""

    graph: Graph
    alternatives: Alternatives
    family: Family
    items: Items
    slots: tuple[Slot, ...]
    #: The stages of a slot along one of its paths.
    stages: dict[tuple[str, str], list[str]]
    #: Where runs of stages may be engines.
    engines: Engines | None = None

    @classmethod
    def of(
        cls,
        graph: Graph,
        alternatives: Alternatives,
        family: Family,
        *,
        engines: bool = False,
        single_ports: Collection[str] = (),
    ) -> Problem:
        """A graph's, in which stages may share arrays, and rings of some stages be in memories of one port."""
        layers: list[tuple[str, dict[str, Graph]]] = []
        for node in graph.nodes:
            if node.relabels or len(node.inputs) > 1:
                continue
            if node.source not in alternatives or not _contracts(node, node.source):
                layers.append((node.name, {"": graph}))
            elif all(name != node.source for name, _ in layers):
                paths = alternatives[node.source]
                layers.append((node.source, {text: along(graph, alternatives, {node.source: text}) for text in paths}))
        entries: list[tuple[Node, Edge, int]] = []
        places: list[tuple[str, dict[str, range]]] = []
        for name, graphs in layers:
            ranges = {}
            for text, one in graphs.items():
                nodes = [n for n in one.nodes if n.name == name]
                if text:
                    nodes = [n for n in one.nodes if _contracts(n, name)]
                ranges[text] = range(len(entries), len(entries) + len(nodes))
                entries += [(node, one.input_of(node), stream_of(one, node.inputs[0])) for node in nodes]
            places.append((name, ranges))
        choices = choices_of(entries, family, single_ports)
        slots = [Slot(name, {t: tuple(choices[i] for i in r) for t, r in ranges.items()}) for name, ranges in places]
        stages = {(name, t): [entries[i][0].name for i in r] for name, ranges in places for t, r in ranges.items()}
        by_name = {slot.name: slot for slot in slots}
        try:
            items = _items(graph, nest(graph), by_name, family)
        except DoesNotNest:
            items = pieces(graph, by_name, family)
        return cls(
            graph, alternatives, family, items, tuple(slots), stages, Engines(graph, family) if engines else None
        )

    def with_single_ports(self, stages: Collection[str]) -> Problem:
        """The same, where rings of these stages may be in memories of one port."""
        engines = self.engines is not None
        return self.of(self.graph, self.alternatives, self.family, engines=engines, single_ports=stages)

    @property
    def upper(self) -> int:
        """Cycles at which every stage fits with its least hardware."""
        stages = [stage.serial for slot in self.slots for path in slot.paths.values() for stage in path]
        sums = [self.graph.input_of(n) for n in self.graph.nodes if len(n.inputs) > 1]
        return SLOWEST * max(*stages, *(x.positions * x.channels for x in sums), 1)

    def solve(self, cycles: int, budget: Budget) -> Solution | None:
        """The solution of least price within a budget, with no stage slower than `cycles`."""
        return solve(self.items, cycles, budget, self.engines)

    def foldings(self, solution: Solution) -> Foldings:
        """The folding of every unit in a solution, in the order of the stages."""
        found: Foldings = {}
        for name, (text, choices) in solution.taken.items():
            if isinstance(choices[0], EngineChoice):
                found[choices[0].stages] = choices[0].folding
                continue
            names = self.stages.get((name, text), [name])
            found |= {stage: choice.folding for stage, choice in zip(names, choices, strict=True)}
        return found

    def choices(self, paths: Mapping[str, str]) -> dict[str, StageChoices]:
        """The choices of every stage with one input along these paths, by its name."""
        found: dict[str, StageChoices] = {}
        for slot in self.slots:
            text = paths.get(slot.name, "")
            found.update(zip(self.stages[slot.name, text], slot.paths[text], strict=True))
        return found


def _items(graph: Graph, series: Series, slots: Mapping[str, Slot], family: Family) -> Items:
    """The slots of a series, each once, and its blocks."""
    found: dict[str, Slot | Join] = {}
    for item in series:
        if isinstance(item, Block):
            node = item.join
            inputs, streams = [graph.edges[n] for n in node.inputs], [stream_of(graph, n) for n in node.inputs]
            branches = tuple(_items(graph, branch, slots, family) for branch in item.branches)
            choices = kind_of(node).choices(node, inputs, streams, family)
            assert isinstance(choices, JoinChoices)
            found[node.name] = Join(node.name, choices, branches)
        else:
            name = item.name if item.name in slots else item.source
            found[name] = slots[name]
    return tuple(found.values())


def choices_of(
    nodes: Sequence[tuple[Node, Edge, int]], family: Family, single_ports: Collection[str] = ()
) -> list[StageChoices]:
    """The choices of several stages with what they read and the channels of that stream; equal stages share theirs.

    Rings of the stages in `single_ports` may be in memories of one port.
    """
    known: dict[object, StageChoices] = {}
    found = []
    for node, x, stream in nodes:
        choices = kind_of(node).choices(node, (x,), (stream,), family)
        choices.single_ports = node.name in single_ports
        key = (type(node), x, stream, choices.single_ports, choices.key())
        found.append(known.setdefault(key, choices))
    return found
