"""Single operations of a named kind over random shapes, formats and foldings, each a function of its seed.

An operation is a graph: a stage for each stream that it reads, which gives that stream its format, and the operation.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, IntArray, Requantizer
from qtt_hw.graph import (
    INPUT,
    Add,
    Concatenation,
    Contraction,
    Edge,
    Graph,
    InputSpec,
    Multiplication,
    Node,
    Permutation,
    Pool,
    Reshape,
    Slice,
    Table,
)
from qtt_hw.window import Window
from rtl_gen.families import ECP5
from rtl_gen.geometry import Geometry
from rtl_gen.kinds import Folding, Spec, kind_of, spec_of
from rtl_gen.kinds.choices import JoinChoices, StageChoices, divisors
from rtl_gen.plan.derive import derived
from rtl_gen.plan.nest import stream_of
from rtl_gen.plan.plan import Plan
from rtl_gen.topology import Topology, compatible

__all__ = ["OPERATIONS", "Operation", "folded", "operation"]

#: Attempts at a folding that is free of what the planner chooses among.
ATTEMPTS = 30
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Operation:
    """A graph whose last stage, or last but a head, is of the kind, at a random folding."""

    seed: int
    kind: str
    graph: Graph
    plan: Plan

    def __str__(self) -> str:
        lines = [f"operation {self.kind} {self.seed}, inputs {self.graph.input.edge}"]
        foldings = {stage.stage: stage.folding for stage in self.plan.stages}
        for node in self.graph.nodes:
            values = {name: value for name, value in vars(node).items() if not isinstance(value, np.ndarray)}
            edges = ", ".join(f"{edge.shape} {edge.format}" for edge in self.graph.inputs_of(node))
            lines.append(f"  {type(node).__name__} of {edges}: {values}; {foldings.get(node.name)}")
        return "\n".join(lines)


class _Drawing:
    """Draws stages one behind the other."""

    def __init__(self, seed: int) -> None:
        self.draw, self.rng = random.Random(seed), np.random.default_rng(seed)
        self.nodes: list[Node] = []
        draw = self.draw
        shape = (*(draw.randint(1, 4) for _ in range(3)), draw.choice([1, 2, 3, 4, 6, 8]))
        self.edges = {INPUT: Edge(shape, self.format(least=1))}

    def format(self, least: int = 2, most: int = 8) -> Format:
        bits, signed = self.draw.randint(least, most), self.draw.random() < 0.5
        return Format(bits, signed and bits > 1, self.draw.randint(-2, 6))

    def add(self, node: Node) -> str:
        self.edges[node.name] = node.output(*(self.edges[name] for name in node.inputs))
        self.nodes.append(node)
        return node.name

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    # Stages that give a stream its format

    def operand(self, source: str, channels: int | None = None) -> str:
        """A stream of the same positions: of a table, a pointwise contraction, or the source itself."""
        edge, kind = self.edges[source], self.draw.choice(["source", "table", "contraction", "pool"])
        if channels not in (None, edge.channels) or kind == "contraction":
            return self.contract(source, Window(), channels or edge.channels)
        if kind == "table" and edge.format.bits <= 8:
            return self.table(source)
        if kind == "pool":
            cube = Window((2, 2, 2), padding=((0, 1), (1, 0), (0, 1)))
            return self.add(Pool(self.name("pool"), (source,), "pool", "max", cube))
        return source

    def contract(self, source: str, window: Window, channels: int, **how: Any) -> str:
        """A contraction of random weights, as many as `channels` results of each carried index and group."""
        edge, name = self.edges[source], self.name("contraction")
        lead, trail, groups = (how.get(which, 1) for which in ("lead", "trail", "groups"))
        taken = edge.channels // (lead * trail * groups)
        weight_format: Format | Codebook = Format(self.draw.randint(2, 8), True, 0, narrow=True)
        if self.draw.random() < 0.3:
            weight_format = Codebook.of_top(self.draw.randint(2, 5), self.draw.random() < 0.5, 0)
        weight = self.weights(weight_format, (channels, *window.kernel, taken))
        out, made = self.format(most=12 if how.get("last") else 8), lead * channels * trail
        requant = Requantizer(out, self.draw.randint(-2, 8))
        match self.draw.choice(["none", "shift", "full"]):
            case "shift":
                power = self.draw.randint(0, 9)
                requant = Requantizer(out, power + self.draw.randint(0, 5), (1 << power,) * made, self.offsets(made))
            case "full":
                m = tuple(int(v) for v in self.rng.integers(-(1 << 15), 1 << 15, made))
                requant = Requantizer(out, self.draw.randint(10, 22), m, self.offsets(made))
        return self.add(Contraction(name, (source,), name, window, weight, weight_format, requant, lead, trail, groups))

    def offsets(self, count: int) -> tuple[int, ...]:
        top = 1 << self.draw.randint(4, 24)
        return tuple(int(v) for v in self.rng.integers(-top, top, count))

    def weights(self, fmt: Format | Codebook, shape: tuple[int, ...]) -> IntArray:
        if isinstance(fmt, Format):
            return self.rng.integers(fmt.minimum, fmt.maximum + 1, shape)
        powers = [sign << e for e in range(fmt.magnitudes) for sign in (1, -1)] + [0] * fmt.zero
        return self.rng.choice(powers, shape)

    def table(self, source: str) -> str:
        name, out, bits = self.name("table"), self.format(), self.edges[source].format.bits
        entries = tuple(int(v) for v in self.rng.integers(out.minimum, out.maximum + 1, 1 << bits))
        return self.add(Table(name, (source,), name, entries, out))

    def window(self, source: str, dilates: bool) -> Window:
        """Any that has an output."""
        draw = self.draw
        kernel = tuple(draw.randint(1, 3) for _ in range(3))
        apart = tuple(draw.choice([1, 1, 2]) if dilates else 1 for _ in range(3))
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, apart, strict=True)]
        stride = tuple(draw.randint(1, 3) for _ in range(3))
        padding = tuple((draw.randint(0, span - 1), draw.randint(0, span - 1)) for span in spans)
        window = Window(kernel, stride, padding, apart)  # type: ignore[arg-type]
        try:
            Geometry.of(window, self.edges[source].shape, 1)
        except ValueError:
            return Window()
        return window

    # Operations

    def contraction(self) -> None:
        draw, channels = self.draw, self.edges[INPUT].channels
        match draw.choice(["plain", "plain", "groups", "carried"]):
            case "groups":
                groups = draw.choice(divisors(channels))
                how = {"groups": groups}
                made = groups * draw.randint(1, 3)
            case "carried":
                lead = draw.choice(divisors(channels))
                how = {"lead": lead, "trail": draw.choice(divisors(channels // lead))}
                made = draw.randint(1, 3)
            case _:
                how, made = {}, draw.randint(1, 6)
        self.contract(INPUT, self.window(INPUT, dilates=True), made, last=True, **how)

    def pool(self) -> None:
        kind = self.draw.choice(["max", "average"])
        window = self.window(INPUT, dilates=kind == "max")
        if self.draw.random() < 0.2:
            window = Window(self.edges[INPUT].shape[:3])
        counts = kind == "average" and self.draw.random() < 0.5
        self.add(Pool("pool", (self.operand(INPUT),), "pool", kind, window, counts))  # type: ignore[arg-type]

    def permutation(self) -> None:
        source = self.operand(INPUT)
        order = self.rng.permutation(self.edges[source].channels)
        self.add(Permutation("swap", (source,), "swap", tuple(int(v) for v in order)))

    def reshape(self) -> None:
        source = self.operand(INPUT)
        edge = self.edges[source]
        self.add(Reshape("flat", (source,), "flat", (1, 1, 1, edge.positions * edge.channels)))
        self.contract("flat", Window(), self.draw.randint(1, 4))

    def slice(self) -> None:
        source = self.operand(INPUT)
        channels = self.edges[source].channels
        first = self.draw.randint(0, channels - 1)
        self.add(Slice("part", (source,), "part", first, self.draw.randint(1, channels - first)))

    def lookup(self) -> None:
        self.table(self.operand(INPUT))

    def addition(self) -> None:
        a, b = self.operand(INPUT), self.operand(INPUT)
        formats = (self.edges[a].format, self.edges[b].format)
        self.add(Add.aligned("sum", (a, b), "sum", *formats, self.format()))

    def multiplication(self) -> None:
        a, b = self.operand(INPUT), self.operand(INPUT)
        if self.draw.random() < 0.5:
            window = Window(self.edges[b].shape[:3])
            b = self.add(Pool(self.name("mean"), (b,), "mean", "average", window))
            b = self.operand(b) if self.edges[b].positions == 1 and self.draw.random() < 0.5 else b
        formats = (self.edges[a].format, self.edges[b].format)
        if self.edges[b].positions > 1 and self.draw.random() < 0.3:
            a, b, formats = b, a, formats[::-1]
        self.add(Multiplication.of("product", (a, b), "product", *formats, self.format()))

    def concatenation(self) -> None:
        count, channels = self.draw.randint(2, 4), self.edges[INPUT].channels
        sources = [
            self.operand(INPUT, self.draw.choice([None, channels * self.draw.randint(1, 2), self.draw.randint(1, 4)]))
            for _ in range(count)
        ]
        formats = [self.edges[name].format for name in sources]
        self.add(Concatenation.aligned("joined", tuple(sources), "joined", formats, self.format()))


#: How an operation of each kind is drawn, by the name of its class.
OPERATIONS: dict[str, Callable[[_Drawing], None]] = {
    "Add": _Drawing.addition,
    "Concatenation": _Drawing.concatenation,
    "Contraction": _Drawing.contraction,
    "Multiplication": _Drawing.multiplication,
    "Permutation": _Drawing.permutation,
    "Pool": _Drawing.pool,
    "Reshape": _Drawing.reshape,
    "Slice": _Drawing.slice,
    "Table": _Drawing.lookup,
}


def operation(kind: str, seed: int) -> Operation:
    """The operation of a kind that a seed stands for; raises ValueError where it has no hardware at all."""
    drawing = _Drawing(seed)
    OPERATIONS[kind](drawing)
    if len(drawing.nodes) > 0 and drawing.draw.random() < 0.3 and drawing.nodes[-1].name != INPUT:
        drawing.contract(drawing.nodes[-1].name, Window(), drawing.draw.randint(1, 4), last=True)
    edge = drawing.edges[INPUT]
    graph = Graph(f"{kind}-{seed}", InputSpec(edge, edge.shape), tuple(drawing.nodes))
    return Operation(seed, kind, graph, folded(graph, drawing.draw))


# Foldings


def folded(graph: Graph, draw: random.Random) -> Plan:
    """A plan of random foldings whose words all readers can take; its FIFOs and cycles follow from them."""
    topology = Topology.of(graph)
    nodes = [node for node in graph.nodes if not node.relabels]
    specs: dict[int, Spec] = {}

    def takes(stage: int, lanes: int) -> bool:
        readers = topology.readers[stage]
        return all(reader.stage == len(nodes) or compatible(lanes, specs[reader.stage].in_width) for reader in readers)

    for number in reversed(range(len(nodes))):
        node = nodes[number]
        inputs = graph.inputs_of(node)
        streams = [stream_of(graph, name) for name in node.inputs]

        def fits(spec: Spec, number: int = number, node: Node = node, streams: list[int] = streams) -> bool:
            joins = len(node.inputs) > 1
            widths = [draw_from for draw_from in streams if not compatible(draw_from, spec.in_width)]
            return takes(number, spec.folding.lanes) and not (joins and widths)

        specs[number] = _one(node, inputs, streams, draw, fits)
    found = [specs[number] for number in range(len(nodes))]
    return derived(graph, found, "none", 100.0)


def _one(
    node: Node, inputs: tuple[Edge, ...], streams: list[int], draw: random.Random, fits: Callable[[Spec], bool]
) -> Spec:
    """A random folding of one stage: of the planner's, changed here and there, or any that is legal."""
    chosen = list(_chosen(node, inputs, streams))
    for _ in range(ATTEMPTS):
        folding = draw.choice(chosen)
        if draw.random() < 0.5:
            folding = _changed(folding, node, inputs, draw)
        try:
            spec = spec_of(node, inputs, folding, ECP5)
        except ValueError:
            continue
        if fits(spec):
            return spec
    serial = min(chosen, key=lambda folding: (folding.lanes, folding.pe, folding.simd))
    return spec_of(node, inputs, serial, ECP5)


def _chosen(node: Node, inputs: tuple[Edge, ...], streams: list[int]) -> list[Folding]:
    """What the planner chooses among."""
    choices = kind_of(node).choices(node, inputs, streams, ECP5)
    if isinstance(choices, JoinChoices):
        return [choice.folding for choice in choices.choices.values()]
    assert isinstance(choices, StageChoices)
    behind = [frozenset(divisors(choices.made)), *(frozenset([lanes]) for lanes in divisors(choices.made))]
    return [choice.folding for width in choices.widths for each in behind for choice in choices.of(width, each)]


def _changed(folding: Folding, node: Node, inputs: tuple[Edge, ...], draw: random.Random) -> Folding:
    """Other depths, and other widths now and then."""
    changes: dict[str, Any] = {}
    results = folding.pe * folding.carry
    if isinstance(node, Contraction) and draw.random() < 0.5:
        changes["pe"] = draw.choice(divisors(node.out_size))
        results = changes["pe"] * folding.carry
    changes["lanes"] = draw.choice(divisors(results)) if isinstance(node, Contraction | Pool) else folding.lanes
    changes["queue"] = max(math.ceil(results / changes["lanes"]), draw.choice([1, 2, 3, 5, 16, folding.queue]))
    if folding.ring and not folding.unfold:
        window = getattr(node, "window", Window())
        least = Geometry.of(window, inputs[0].shape, folding.simd * folding.carry).least_ring
        changes["ring"] = least + draw.choice([0, 0, 1, 2, draw.randint(0, 12)])
    return folding.model_copy(update=changes)
