"""Random stages and their packed words, shared by the generator's tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, IntArray, Requantizer
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec, Node, Permutation, Pool, Reshape
from qtt_hw.window import Window
from rtl_gen.families import ECP5, ICE40
from rtl_gen.geometry import Geometry
from rtl_gen.kinds import Folding, Spec, spec_of
from rtl_gen.kinds.add import AddSpec
from rtl_gen.packing import packing_of
from rtl_gen.topology import SOURCE, Topology, compatible


def pack(values: IntArray, lanes: int, fmt: Format) -> list[int]:
    """Stream words of `lanes` values, the first in the low bits."""
    mask = (1 << fmt.bits) - 1
    return [sum((int(v) & mask) << (i * fmt.bits) for i, v in enumerate(row)) for row in values.reshape(-1, lanes)]


def unpack(words: tuple[int, ...], lanes: int, fmt: Format) -> IntArray:
    """The values of stream words, in order."""
    mask = (1 << fmt.bits) - 1
    raw = np.array([(w >> (i * fmt.bits)) & mask for w in words for i in range(lanes)], dtype=np.int64)
    return np.where(raw > fmt.maximum, raw - (1 << fmt.bits), raw)


@dataclass(frozen=True)
class Case:
    """A stage, the lanes of its input words and random input integers [N, D, H, W, C]."""

    spec: Spec
    in_lanes: int
    x: IntArray


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


formats = st.one_of(
    st.builds(Format, st.integers(1, 8), st.just(False), st.just(0)),
    st.builds(Format, st.integers(2, 8), st.just(True), st.just(0)),
)
codebooks = st.builds(Codebook.of_top, st.integers(2, 6), st.booleans(), st.just(0))


def _integers(book: Codebook) -> list[int]:
    """Every integer of a codebook."""
    powers = [sign << e for e in range(book.magnitudes) for sign in (1, -1)]
    return powers + [0] * book.zero


@st.composite
def accumulated_cases(draw: st.DrawFn) -> Case:
    """A pool without a ring on a few small volumes: windows that do not overlap, with gaps, padding and ragged ends."""
    simd, fmt = draw(st.integers(1, 4)), draw(formats)
    edge = Edge((*draw(st.tuples(*[st.integers(1, 7)] * 3)), simd * draw(st.integers(1, 5))), fmt)
    kernel = draw(st.tuples(*[st.integers(1, 4)] * 3))
    stride = tuple(k + draw(st.integers(0, 2)) for k in kernel)
    padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in kernel)
    window = Window(kernel, stride, padding)
    if draw(st.integers(0, 9)) == 0:  # the map, at any stride
        window = Window(edge.shape[:3])
    kind = draw(st.sampled_from(["max", "average"]))
    node = Pool("stage", (INPUT,), "stage", kind, window, kind == "average" and draw(st.booleans()))
    lanes = draw(st.sampled_from(_divisors(simd)))
    queue = max(simd // lanes, draw(st.sampled_from([1, 3, 16, 32])))
    try:
        spec = spec_of(node, (edge,), Folding(simd=simd, pe=simd, lanes=lanes, ring=0, queue=queue), ECP5)
    except ValueError:  # the kernel is larger than the padded axis
        assume(False)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(fmt.minimum, fmt.maximum + 1, size=(3, *edge.shape))
    return Case(spec, draw(st.sampled_from(_divisors(simd))), x)


@st.composite
def stage_cases(draw: st.DrawFn, carried: bool = False) -> Case:
    """Any supported stage on a few small volumes, or only contractions that carry modes on both sides.

    Taps are dilated now and then, and channels fall into groups, of which several may be at work side by side.
    """
    kinds = ["contraction", "contraction", "max", "average", "accumulated", "permutation"]
    kind = "contraction" if carried else draw(st.sampled_from(kinds))
    if kind == "accumulated":
        return draw(accumulated_cases())
    simd = 1 if kind == "permutation" else draw(st.integers(1, 3))
    lead = trail = carry = groups = 1
    if kind == "contraction" and not carried and draw(st.integers(0, 3)) == 0:
        groups = draw(st.integers(2, 6))
        carry = draw(st.sampled_from(_divisors(groups)))
    elif carried or (kind == "contraction" and draw(st.booleans())):
        least = 2 if carried else 1
        lead, trail = draw(st.integers(least, 3)), draw(st.integers(least, 4))
        carry = draw(st.sampled_from(_divisors(trail)))
        simd = simd if carry == trail else 1
    fmt = draw(formats)
    several = 1 if groups > 1 < carry else draw(st.integers(1, 3))
    channels = lead * groups * simd * several * trail
    edge = Edge((*draw(st.tuples(*[st.integers(1, 3 if carried else 5)] * 3)), channels), fmt)
    kernel = draw(st.tuples(*[st.integers(1, 3)] * 3))
    stride = draw(st.tuples(*[st.integers(1, 3)] * 3))
    dilation = draw(st.tuples(*[st.sampled_from([1, 1, 1, 2, 3])] * 3))
    spans = [(k - 1) * apart + 1 for k, apart in zip(kernel, dilation, strict=True)]
    padding = tuple((draw(st.integers(0, span - 1)), draw(st.integers(0, span - 1))) for span in spans)
    window = Window(kernel, stride, padding, dilation) if kind != "permutation" else Window()
    try:
        geometry = Geometry.of(window, edge.shape, simd * carry)
    except ValueError:
        assume(False)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    node: Node
    lanes_of = ["dsp"]
    if kind == "contraction":
        lanes_of = ["dsp", "logic"]
        pe = draw(st.sampled_from([1, 2, 3, 4, 6])) if groups > 1 or carry == trail else 1
        lanes = draw(st.sampled_from(_divisors(pe * carry)))
        made = groups * pe * (1 if groups > 1 < carry else draw(st.integers(1, 3)))
        taken = edge.channels // (lead * groups * trail)
        channels = lead * made * trail
        weight_format: Format | Codebook
        if draw(st.booleans()):
            weight_format = draw(codebooks)
            weight = rng.choice(_integers(weight_format), size=(made, *kernel, taken))
            lanes_of = ["shift", "shift", "dsp", "logic"]
        else:
            weight_format = Format(draw(st.integers(2, 8)), True, 0, narrow=True)
            weight = rng.integers(weight_format.minimum, weight_format.maximum + 1, size=(made, *kernel, taken))
            if pe % 2 == 0 and packing_of(fmt, weight_format, ECP5.multiplier.bits):
                lanes_of += ["packed", "packed"]
            lanes_of += ["dual"]
        out = Format(draw(st.integers(2, 16)), draw(st.booleans()), 0)
        if draw(st.booleans()):
            requant = Requantizer(
                out,
                draw(st.integers(0, 20)),
                tuple(int(v) for v in rng.integers(-(1 << 15), 1 << 15, channels)),
                tuple(int(v) for v in rng.integers(-(1 << 31), 1 << 31, channels)),
            )
        else:
            requant = Requantizer(out, draw(st.integers(-3, 10)))
        node = Contraction("stage", (INPUT,), "stage", window, weight, weight_format, requant, lead, trail, groups)
        try:
            node.output(edge)
        except ValueError:  # a multiplier and the sums of wide codes together are not exact
            assume(False)
    elif kind == "permutation":
        pe = lanes = 1
        node = Permutation("stage", (INPUT,), "stage", tuple(int(v) for v in rng.permutation(edge.channels)))
    else:
        pe = simd
        lanes = draw(st.sampled_from(_divisors(simd)))
        node = Pool("stage", (INPUT,), "stage", kind, window, kind == "average" and draw(st.booleans()))
    folding = Folding(
        simd=simd,
        pe=pe,
        lanes=lanes,
        ring=geometry.least_ring + draw(st.integers(0, 12)),
        queue=max(pe * carry // lanes, draw(st.sampled_from([1, 3, 16, 32]))),
        multiplier=draw(st.sampled_from(lanes_of)),
        carry=carry,
    )
    family = ICE40 if folding.multiplier == "dual" else ECP5
    if simd * carry * fmt.bits <= 64 and draw(st.integers(0, 2)) == 0:
        narrower = {"multiplier": "dsp"} if folding.multiplier == "packed" else {}  # than an ECP5's
        folding, family = folding.model_copy(update={"ports": 1, **narrower}), ICE40
    try:
        spec = spec_of(node, (edge,), folding, family)
    except ValueError:
        spec = spec_of(node, (edge,), folding.model_copy(update={"lanes": pe * carry}), family)
    x = rng.integers(fmt.minimum, fmt.maximum + 1, size=(3, *edge.shape))
    return Case(spec, draw(st.sampled_from(_divisors(simd * carry))), x)


def contraction(
    name: str,
    source: str,
    edge: Edge,
    made: int,
    window: Window,
    out: Format,
    rng: np.random.Generator,
    carried: tuple[int, int] = (1, 1),
) -> Contraction:
    """A contraction of random 4-bit weights with (lead, trail) carried; unsigned outputs get a batch norm."""
    weight_format = Format(4, True, 2, narrow=True)
    channels = made * math.prod(carried)
    weight = rng.integers(-7, 8, size=(made, *window.kernel, edge.channels // math.prod(carried)))
    if out.signed:
        requant = Requantizer(out, 3)
    else:
        m, b = rng.integers(200, 900, channels), rng.integers(-9000, 30000, channels)
        requant = Requantizer(out, 11, tuple(int(v) for v in m), tuple(int(v) for v in b))
    return Contraction(name, (source,), name, window, weight, weight_format, requant, *carried)


def small_network() -> Graph:
    """A little of everything: strided convolution, TT stages along each axis, pools, a permutation, a linear head."""
    rng = np.random.default_rng(7)
    edge = Edge((6, 6, 6, 4), Format(1, False, 0))
    spec = InputSpec(edge, (6, 6, 6, 4))
    signed, unsigned = Format(8, True, 3), Format(8, False, 3)
    nodes: list[Node] = []

    def add(node: Node) -> None:
        nonlocal edge
        nodes.append(node)
        edge = node.output(edge)

    def last() -> str:
        return nodes[-1].name if nodes else INPUT

    pad = ((0, 0), (0, 0), (0, 0))
    cube = Window((3, 3, 3), (1, 1, 1), ((1, 1), (1, 1), (1, 1)))
    add(contraction("conv", last(), edge, 8, cube, unsigned, rng))
    add(Pool("pool", (last(),), "pool", "max", Window((2, 2, 2), (2, 2, 2), pad)))
    add(contraction("tt.in", last(), edge, 6, Window(), signed, rng))
    add(contraction("tt.d", last(), edge, 4, Window((3, 1, 1), padding=((1, 1), (0, 0), (0, 0))), signed, rng))
    add(contraction("tt.h", last(), edge, 4, Window((1, 3, 1), padding=((0, 0), (1, 1), (0, 0))), signed, rng))
    add(contraction("tt.w", last(), edge, 6, Window((1, 1, 2), (1, 1, 2), ((0, 0), (0, 0), (0, 1))), signed, rng))
    add(contraction("tt.out", last(), edge, 12, Window(), unsigned, rng))
    add(Permutation("swap", (last(),), "swap", tuple(int(v) for v in rng.permutation(12))))
    add(Pool("mean", (last(),), "mean", "average", Window((3, 3, 1))))
    add(Reshape("flat", (last(),), "flat", (1, 1, 1, 24)))
    add(contraction("head", last(), edge, 5, Window(), Format(16, True, 0), rng))
    return Graph("small", spec, tuple(nodes), tuple("abcde"))


def carried_network() -> Graph:
    """Chains that carry modes along: forward, where the modes made lead; backward, with two modes taken in one step;
    and one in the middle of both sides, over a window.
    """
    rng = np.random.default_rng(11)
    edge = Edge((2, 3, 4, 24), Format(3, False, 0))
    spec = InputSpec(edge, edge.shape)
    signed, unsigned = Format(8, True, 3), Format(6, False, 3)
    padded = Window((1, 1, 2), padding=((0, 0), (0, 0), (0, 1)))
    cube = Window((2, 3, 2), (1, 1, 2), ((0, 1), (1, 1), (0, 0)))
    nodes: list[Node] = []
    for name, made, window, out, carried in (
        ("forward.0", 6, Window(), signed, (1, 8)),
        ("forward.1", 4, Window(), signed, (3, 4)),
        ("forward.2", 2, Window(), unsigned, (6, 1)),
        ("backward.0", 6, Window(), signed, (4, 1)),
        ("backward.1", 4, Window((1, 3, 1)), unsigned, (1, 3)),
        ("both", 4, padded, signed, (2, 2)),
        ("middle", 2, cube, unsigned, (2, 2)),
    ):
        source = nodes[-1].name if nodes else INPUT
        nodes.append(contraction(name, source, edge, made, window, out, rng, carried))
        edge = nodes[-1].output(edge)
    nodes.append(Reshape("flat", (nodes[-1].name,), "flat", (1, 1, 1, edge.positions * edge.channels)))
    edge = nodes[-1].output(edge)
    nodes.append(contraction("head", "flat", edge, 5, Window(), Format(16, True, 0), rng))
    return Graph("carried", spec, tuple(nodes), tuple("abcde"))


@dataclass(frozen=True)
class NetworkCase:
    """A residual network as hardware: its graph, stages and connections without FIFOs, and input integers."""

    graph: Graph
    specs: list[Spec]
    topology: Topology
    in_lanes: int
    x: IntArray


class _Builder:
    """Draws nested residual blocks, stage by stage."""

    def __init__(self, draw: st.DrawFn, edge: Edge):
        self.draw, self.nodes, self.edges = draw, list[Node](), {INPUT: edge}
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        self.edges[node.name] = node.output(*(self.edges[name] for name in node.inputs))
        return node.name

    def name(self) -> str:
        return f"s{len(self.nodes)}"

    def format(self) -> Format:
        return Format(self.draw(st.integers(2, 6)), self.draw(st.booleans()), self.draw(st.integers(0, 3)))

    def convolve(self, source: str, window: Window, channels: int | None = None) -> str:
        edge = self.edges[source]
        weight = self.rng.integers(-7, 8, (channels or edge.channels, *window.kernel, edge.channels))
        return self.add(
            Contraction(
                self.name(),
                (source,),
                "net",
                window,
                weight,
                Format(4, True, 2, narrow=True),
                Requantizer(self.format(), self.draw(st.integers(0, 5))),
            )
        )

    def stage(self, source: str) -> str:
        """A stage that keeps the shape."""
        window = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
        match self.draw(st.sampled_from(["conv", "point", "max", "swap"])):
            case "conv":
                return self.convolve(source, window)
            case "point":
                return self.convolve(source, Window())
            case "max":
                return self.add(Pool(self.name(), (source,), "net", "max", window))
            case _:
                order = self.rng.permutation(self.edges[source].channels)
                return self.add(Permutation(self.name(), (source,), "net", tuple(int(v) for v in order)))

    def branch(self, source: str, most: int, depth: int) -> str:
        for _ in range(self.draw(st.integers(0, most))):
            nested = depth > 0 and self.draw(st.integers(0, 2)) == 0
            source = self.block(source, depth - 1, strided=False) if nested else self.stage(source)
        return source

    def block(self, source: str, depth: int, strided: bool) -> str:
        """Two branches from one stream, in either order, and their sum."""
        ends = [source, source]
        if strided:
            wide = Window((1, 3, 3), (1, 2, 2), ((0, 0), (1, 1), (1, 1)))
            ends = [self.convolve(source, wide), self.convolve(source, Window(stride=(1, 2, 2)))]
        ends = [self.branch(ends[0], 2, depth), self.branch(ends[1], 1, 0)]
        if self.draw(st.booleans()):
            ends.reverse()
        a, b = (self.edges[end].format for end in ends)
        return self.add(Add.aligned(self.name(), (ends[0], ends[1]), "net", a, b, self.format()))


def _folded(draw: st.DrawFn, graph: Graph, topology: Topology) -> tuple[list[Spec], int]:
    """Foldings at random whose widths agree, and the lanes of the input."""
    nodes = [node for node in graph.nodes if not isinstance(node, Reshape)]
    found: list[Spec] = []

    def fitting(stage: int, total: int) -> list[int]:
        """Lanes that all readers of a stage can take."""
        widths = [
            found[reader.stage - len(nodes)].in_width if reader.stage < len(nodes) else 1
            for reader in topology.readers[stage]
        ]
        return [lanes for lanes in _divisors(total) if all(compatible(lanes, width) for width in widths)]

    for number in reversed(range(len(nodes))):
        node, queue = nodes[number], draw(st.sampled_from([1, 3, 16]))
        edges = [graph.edges[name] for name in node.inputs]
        if isinstance(node, Add):
            lanes = draw(st.sampled_from(fitting(number, edges[0].channels)))
            folding = Folding(simd=lanes, pe=lanes, lanes=lanes, ring=0, queue=queue)
            found.insert(0, AddSpec(node, (edges[0], edges[1]), folding, ECP5))
            continue
        simd = 1 if isinstance(node, Permutation) else draw(st.sampled_from(_divisors(edges[0].channels)))
        pe = draw(st.sampled_from(_divisors(node.out_size))) if isinstance(node, Contraction) else simd
        lanes = draw(st.sampled_from(fitting(number, pe)))
        window = node.window if isinstance(node, Contraction | Pool) else Window()
        ring = Geometry.of(window, edges[0].shape, simd).least_ring + draw(st.integers(0, 12))
        folding = Folding(simd=simd, pe=pe, lanes=lanes, ring=ring, queue=max(pe // lanes, queue))
        try:
            found.insert(0, spec_of(node, (edges[0],), folding, ECP5))
        except ValueError:  # too many output words for the steps of a result
            fewer = {"pe": 1, "lanes": 1} if isinstance(node, Contraction) else {"simd": 1, "pe": 1, "lanes": 1}
            if "simd" in fewer:
                fewer["ring"] = ring * simd
            found.insert(0, spec_of(node, (edges[0],), folding.model_copy(update=fewer), ECP5))
    return found, draw(st.sampled_from(fitting(SOURCE, graph.input.edge.channels)))


@st.composite
def network_cases(draw: st.DrawFn) -> NetworkCase:
    """Small residual networks: nested blocks, projections, identities, sums of a stream with itself."""
    shape = (1, draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 4, 6])))
    builder = _Builder(draw, Edge(shape, Format(3, draw(st.booleans()), 0)))
    source = INPUT
    for _ in range(draw(st.integers(1, 2))):
        source = builder.block(builder.branch(source, 1, 0), 1, strided=draw(st.integers(0, 3)) == 0)
    edge = builder.edges[source]
    builder.convolve(source, Window(edge.shape[:3]), channels=3)
    graph = Graph("residual", InputSpec(builder.edges[INPUT], shape), tuple(builder.nodes))
    topology = Topology.of(graph)
    specs, in_lanes = _folded(draw, graph, topology)
    fmt = graph.input.edge.format
    x = builder.rng.integers(fmt.minimum, fmt.maximum + 1, size=(3, *shape))
    return NetworkCase(graph, specs, topology, in_lanes, x)


@pytest.fixture(scope="session")
def networks():
    """The strategy of random residual networks."""
    return network_cases()


@pytest.fixture(scope="session")
def carried() -> Graph:
    """A small network of contractions that carry modes along."""
    return carried_network()


@pytest.fixture(scope="session")
def network() -> Graph:
    """A small network with every kind of stage."""
    return small_network()


@pytest.fixture(scope="session")
def words():
    """(pack, unpack) between integers and stream words."""
    return pack, unpack


@pytest.fixture(scope="session")
def cases():
    """The strategy of random stages, for tests that draw with `st.data()`."""
    return stage_cases()


@pytest.fixture(scope="session")
def carried_cases():
    """The strategy of random contractions with a lead and a trail."""
    return stage_cases(carried=True)


@pytest.fixture(scope="session")
def accumulated():
    """The strategy of random pools without a ring."""
    return accumulated_cases()
