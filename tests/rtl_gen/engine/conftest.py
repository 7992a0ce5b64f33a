"""Random engines: chains of contractions of all shapes on arrays that they do not always fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge
from qtt_hw.window import Window
from rtl_gen.engine.folding import EngineFolding
from rtl_gen.engine.jobs import work_of
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import ECP5

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
        multiplier=draw(st.sampled_from(["dsp", "logic", "packed"] if codes is None else ["shift", "shift", "dsp"])),
    )
    try:
        return EngineSpec(nodes, edges, folding, ECP5)
    except ValueError as error:
        assume("two products" in str(error))  # or a job of one step
        return EngineSpec(nodes, edges, folding.model_copy(update={"multiplier": "dsp"}), ECP5)


@pytest.fixture(scope="session")
def random_engines() -> st.SearchStrategy[EngineSpec]:
    return engines()
