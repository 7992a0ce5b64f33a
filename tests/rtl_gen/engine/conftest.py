"""Random engines: chains of contractions of all shapes on arrays that they do not always fill; residual blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.engine.choices import engine_folding
from rtl_gen.engine.folding import EngineFolding
from rtl_gen.engine.jobs import work_of
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import ECP5, ICE40

ACTIVATIONS = st.sampled_from([Format(8, True, 0), Format(8, False, 0), Format(4, False, 0), Format(5, True, 0)])


@st.composite
def windows(draw: st.DrawFn) -> Window:
    kernel = draw(st.tuples(*[st.sampled_from([1, 1, 2, 3])] * 3))
    dilation = (*draw(st.tuples(*[st.sampled_from([1, 1, 2])] * 2)), 1)
    spans = [(k - 1) * apart + 1 for k, apart in zip(kernel, dilation, strict=True)]
    padding = tuple((draw(st.integers(0, span - 1)), draw(st.integers(0, span - 1))) for span in spans)
    return Window(kernel, draw(st.tuples(*[st.sampled_from([1, 1, 2, 3])] * 3)), padding, dilation)


@st.composite
def requantizers(draw: st.DrawFn, out: Format, channels: int, rng: np.random.Generator) -> Requantizer:
    if draw(st.booleans()):
        return Requantizer(out, draw(st.integers(-2, 9)))
    m, b = rng.integers(-(1 << 15), 1 << 15, channels), rng.integers(-(1 << 31), 1 << 31, channels)
    return Requantizer(out, draw(st.integers(0, 24)), tuple(int(v) for v in m), tuple(int(v) for v in b))


@st.composite
def engines(draw: st.DrawFn) -> EngineSpec:
    """Channels and kernels that divide the lanes or not, rings of the least rows or more."""
    simd, pe = draw(st.sampled_from([(1, 1), (2, 2), (4, 2), (4, 4), (2, 4), (8, 4)]))
    x = Edge((*draw(st.tuples(*[st.integers(1, 5)] * 3)), simd * draw(st.integers(1, 3))), draw(ACTIVATIONS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes, edges = [], []
    count = draw(st.integers(1, 4))
    codes = draw(st.sampled_from([None, None, (4, False), (3, True), (6, True)]))  # of one codebook, at several scales
    for number in range(count):
        last = number == count - 1
        made = draw(st.integers(1, 9)) * (2 if last else 1)
        out = Format(16, True, 0) if last else draw(ACTIVATIONS)
        window = draw(windows())
        shape = (made, *window.kernel, x.channels)
        weights: Format | Codebook
        if codes is None:
            weights = Format(draw(st.sampled_from([4, 4, 2, 8])), True, 0, narrow=True)
            weight = as_integers(rng.integers(weights.minimum, weights.maximum + 1, shape))
        else:
            weights = Codebook.of_top(*codes, draw(st.integers(-3, 3)))
            weight = weights.decode(as_integers(rng.integers(0, 1 << weights.bits, shape)))
        name = f"stage{number}"
        requant = draw(requantizers(out, made, rng))
        node = Contraction(name, (nodes[-1].name if nodes else INPUT,), name, window, weight, weights, requant)
        nodes.append(node)
        edges.append(x)
        try:
            x = node.output(x)
        except ValueError:
            assume(False)
    works = [
        work_of(node, edge, simd, pe, fills=number < count - 1)
        for number, (node, edge) in enumerate(zip(nodes, edges, strict=True))
    ]
    rows = [min(work.least_rows + draw(st.integers(0, 2)), work.rows) for work in works]
    of_stream = [n for n in range(1, works[0].rows + 1) if works[0].rows % n == 0 and n >= works[0].least_rows]
    rows[0] = draw(st.sampled_from(of_stream))
    least = min(job.steps for work in works for job in work.jobs)
    lanes = [n for n in (1, 2, 4) if pe % n == 0 and simd % n == 0 and x.channels % n == 0 and pe // n <= least]
    assume(lanes)
    chosen = draw(st.sampled_from(lanes))
    credit = max(job.positions for job in works[-1].jobs) * x.channels // chosen
    folding = EngineFolding(
        simd=simd,
        pe=pe,
        lanes=chosen,
        rows=tuple(rows),
        queue=credit + draw(st.integers(0, 12)),
        multiplier=draw(
            st.sampled_from(["dsp", "logic", "packed", "dual"] if codes is None else ["shift", "shift", "dsp"])
        ),
    )
    try:
        return EngineSpec(Segment.chain(nodes, edges), folding, ICE40 if folding.multiplier == "dual" else ECP5)
    except ValueError as error:
        assume("multiplier" in str(error))  # or a job of one step
        return EngineSpec(Segment.chain(nodes, edges), folding.model_copy(update={"multiplier": "dsp"}), ECP5)


@st.composite
def residual_graphs(draw: st.DrawFn) -> Graph:
    """Contractions, and blocks whose sums add what a block reads, or a contraction of that; all formats differ."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = Format(4, True, 0, narrow=True)
    nodes: list[Contraction | Add] = []

    def conv(source: str, x: Edge, made: int, window: Window, out: Format) -> tuple[str, Edge]:
        weight = as_integers(rng.integers(-7, 8, (made, *window.kernel, x.channels)))
        name = f"stage{len(nodes)}"
        nodes.append(Contraction(name, (source,), name, window, weight, weights, draw(requantizers(out, made, rng))))
        return name, nodes[-1].output(x)

    def same() -> Window:
        kernel = draw(st.tuples(*[st.sampled_from([1, 1, 3])] * 3))
        return Window(kernel, padding=tuple((k // 2, k // 2) for k in kernel))

    def inner() -> Format:
        return replace(draw(ACTIVATIONS), frac=draw(st.integers(-2, 2)))

    channels = draw(st.sampled_from([4, 8, 12]))
    first = edge = Edge((*draw(st.tuples(*[st.integers(1, 5)] * 3)), channels), inner())
    source, blocks = INPUT, draw(st.integers(1, 3))
    for block in range(blocks):
        out = Format(16, True, 0) if block == blocks - 1 else inner()
        kind = draw(st.sampled_from(["chain", "identity", "identity", "shortcut"]))
        if kind == "chain":
            source, edge = conv(source, edge, 4 * draw(st.integers(1, 2)), same(), out)
            continue
        stride = (1, 1, 1)
        made, x, begin = edge.channels, edge, source
        if kind == "shortcut":
            stride, made = draw(st.tuples(*[st.sampled_from([1, 1, 2])] * 3)), 4 * draw(st.integers(1, 2))
        path, middle = begin, x
        for number in range(draw(st.integers(1, 2))):
            window = same()
            path, middle = conv(path, middle, made, replace(window, stride=stride) if number == 0 else window, inner())
        other, beside = begin, x
        if kind == "shortcut":
            other, beside = conv(begin, x, made, Window((1, 1, 1), stride), inner())
        ends = [(path, middle), (other, beside)]
        if draw(st.booleans()):
            ends.reverse()
        (a, one), (b, two) = ends
        name = f"sum{len(nodes)}"
        out = replace(out, frac=draw(st.integers(-2, 3)))
        nodes.append(Add.aligned(name, (a, b), name, one.format, two.format, out))
        source, edge = name, nodes[-1].output(one, two)
    return Graph("net", InputSpec(first, first.shape), tuple(nodes))


@st.composite
def residual_engines(draw: st.DrawFn) -> tuple[Graph, EngineSpec]:
    """A graph and all of it as an engine."""
    graph = draw(residual_graphs())
    assume(any(isinstance(node, Add) for node in graph.nodes))
    segment = Segment.of(graph, [node.name for node in graph.nodes])
    sizes = [(1, 1), (2, 2), (4, 2), (4, 4), (2, 4), (12, 4), (6, 2)]
    simd, pe = draw(st.sampled_from([(n, m) for n, m in sizes if segment.edges[0].channels % n == 0]))
    try:
        folding = engine_folding(segment, simd, pe, ECP5, stream_rows=draw(st.integers(1, 4)))
    except ValueError:
        assume(False)
    rows = [folding.rows[0], *(rows + draw(st.integers(0, 1)) for rows in folding.rows[1:])]
    whole = [stage.made.shape[0] * stage.made.shape[1] for stage in segment.stages[:-1]]
    rows[1:] = [min(one, most) for one, most in zip(rows[1:], whole, strict=True)]
    try:
        return graph, EngineSpec(segment, folding.model_copy(update={"rows": tuple(rows)}), ECP5)
    except ValueError as error:
        assume("steps" not in str(error))
        raise


@pytest.fixture(scope="session")
def random_residual_engines() -> st.SearchStrategy[tuple[Graph, EngineSpec]]:
    return residual_engines()


@pytest.fixture(scope="session")
def random_engines() -> st.SearchStrategy[EngineSpec]:
    return engines()
