"""Concatenations, products and slices against their integer functions, under stalls, and their refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Concatenation, Edge, Multiplication, Node, Slice
from rtl_gen.families import ECP5
from rtl_gen.kinds import spec_of
from rtl_gen.kinds.credited import CreditedSpec
from sim.stream import exchange

formats = st.builds(Format, st.integers(2, 8), st.booleans(), st.integers(-3, 6))
SAMPLES = 4


def concatenation(data, lanes: int) -> tuple[Node, list[Edge]]:
    positions = data.draw(st.sampled_from([(1, 1, 1), (2, 1, 3)]))
    edges = [
        Edge((*positions, lanes * data.draw(st.integers(1, 3))), data.draw(formats))
        for _ in range(data.draw(st.integers(2, 4)))
    ]
    names = tuple(f"i{k}" for k in range(len(edges)))
    return Concatenation.aligned("cat", names, "cat", [e.format for e in edges], data.draw(formats)), edges


def product(data, lanes: int) -> tuple[Node, list[Edge]]:
    shape = (*data.draw(st.sampled_from([(1, 1, 1), (1, 1, 2), (2, 1, 3)])), lanes * data.draw(st.integers(1, 4)))
    gate = data.draw(st.sampled_from([shape, (1, 1, 1, shape[3])]))
    a, b, out = (data.draw(formats) for _ in range(3))
    return Multiplication.of("mul", ("a", "b"), "mul", a, b, out), [Edge(shape, a), Edge(gate, b)]


def part(data, lanes: int) -> tuple[Node, list[Edge]]:
    first, count, behind = (lanes * data.draw(st.integers(least, 3)) for least in (0, 1, 0))
    return Slice("part", ("x",), "part", first, count), [Edge((2, 1, 3, first + count + behind), data.draw(formats))]


@pytest.mark.parametrize("kind", [concatenation, product, part])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_equals_golden_under_stalls(words, kind, data):
    pack, unpack = words
    lanes = data.draw(st.sampled_from([1, 2, 3]))
    node, edges = kind(data, lanes)
    queue = data.draw(st.sampled_from([1, 2, 16]))
    spec = spec_of(node, edges, CreditedSpec.of_lanes(lanes).model_copy(update={"queue": queue}), ECP5)
    assert isinstance(spec, CreditedSpec)
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    xs = [rng.integers(e.format.minimum, e.format.maximum + 1, (SAMPLES, *e.shape)) for e in edges]
    for x, edge in zip(xs, edges, strict=True):  # both ends of all ranges
        x[0], x[1] = edge.format.minimum, edge.format.maximum
    unit = spec.unit(lanes)
    sources = [
        (getattr(unit, f"i{k}"), pack(x, lanes, e.format)) for k, (x, e) in enumerate(zip(xs, edges, strict=True))
    ]
    stalls = data.draw(st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.4, 0.4)]))
    count = spec.out_words * SAMPLES
    accepted, (got,) = exchange(unit, sources, [(unit.o, count)], stalls=stalls, seed=data.draw(st.integers(0, 99)))
    want = node.golden(*zip(xs, edges, strict=True))
    assert np.array_equal(unpack(got.words, lanes, spec.out.format), want.reshape(-1))
    if stalls != (0.0, 0.0) or queue < 16:
        return
    taken, put, cycle = [[] for _ in edges], [], 0
    while len(put) < count:
        for turn in spec.turns:
            for _ in range(turn.words):
                for k in turn.takes:
                    taken[k].append(cycle)
                put += [cycle + spec.latency + 2] if turn.puts else []
                cycle += 1
    assert [list(cycles)[: len(t)] for cycles, t in zip(accepted, taken, strict=True)] == [
        t[: len(list(cycles))] for cycles, t in zip(accepted, taken, strict=True)
    ]
    assert list(got.cycles) == put


EDGE = Edge((1, 1, 2, 4), Format(8, True, 0))


@pytest.mark.parametrize(
    ("node", "edges", "lanes", "message"),
    [
        (
            Concatenation.aligned("cat", ("a", "b"), "cat", [EDGE.format] * 2, EDGE.format),
            [EDGE, Edge((1, 1, 1, 4), EDGE.format)],
            1,
            r"puts channels of \[1, 1, 1\] positions beside \[1, 1, 2\]",
        ),
        (
            Concatenation.aligned("cat", ("a", "b"), "cat", [EDGE.format] * 2, EDGE.format),
            [EDGE, Edge((1, 1, 2, 2), EDGE.format)],
            3,
            "stage cat: lanes 3 does not divide 4, of an input",
        ),
        (
            Multiplication.of("mul", ("a", "b"), "mul", EDGE.format, EDGE.format, EDGE.format),
            [EDGE, Edge((1, 1, 1, 2), EDGE.format)],
            1,
            r"multiplies \[1, 1, 2, 4\] by \[1, 1, 1, 2\]",
        ),
        (
            Multiplication.of("mul", ("a", "b"), "mul", EDGE.format, EDGE.format, EDGE.format),
            [EDGE, EDGE],
            3,
            "stage mul: lanes 3 does not divide 4",
        ),
        (Slice("part", ("x",), "part", 3, 2), [EDGE], 1, "takes channels 3 to 5 of 4"),
        (Slice("part", ("x",), "part", 1, 2), [EDGE], 2, "stage part: lanes 2 does not divide 1 and 4"),
    ],
)
def test_refusals_name_what_does_not_fit(node: Node, edges: list[Edge], lanes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec_of(node, edges, CreditedSpec.of_lanes(lanes), ECP5)


def test_a_concatenation_has_two_streams_or_more() -> None:
    with pytest.raises(ValueError, match="stage cat: puts 1 streams together, 2 to 1024 can be"):
        Concatenation.aligned("cat", ("a",), "cat", [EDGE.format], EDGE.format)
