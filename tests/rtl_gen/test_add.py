"""The sum of two streams against its integer function, under stalls, and its refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import Add, Edge
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding
from rtl_gen.kinds.add import AddSpec, AddUnit
from sim.stream import exchange

formats = st.builds(Format, st.integers(2, 8), st.booleans(), st.integers(-3, 6))


def folding(lanes: int, queue: int = 16) -> Folding:
    return Folding(simd=lanes, pe=lanes, lanes=lanes, ring=0, queue=queue)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_equals_golden_under_stalls(words, data):
    pack, unpack = words
    a, b, out = (data.draw(formats) for _ in range(3))
    lanes = data.draw(st.sampled_from([1, 2, 3]))
    shape = (2, 1, 3, lanes * data.draw(st.integers(1, 3)))
    node = Add.aligned("sum", ("a", "b"), "sum", a, b, out)
    spec = AddSpec(node, (Edge(shape, a), Edge(shape, b)), folding(lanes, data.draw(st.sampled_from([1, 2, 16]))), ECP5)
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    xs = [rng.integers(fmt.minimum, fmt.maximum + 1, (4, *shape)) for fmt in (a, b)]
    # both ends of both ranges
    for x, fmt in zip(xs, (a, b), strict=True):
        x[0], x[1] = fmt.minimum, fmt.maximum
    unit = AddUnit(spec)
    sources = [(unit.i0, pack(xs[0], lanes, a)), (unit.i1, pack(xs[1], lanes, b))]
    stalls = data.draw(st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.4, 0.4)]))
    count = spec.out_words * len(xs[0])
    accepted, (got,) = exchange(unit, sources, [(unit.o, count)], stalls=stalls, seed=data.draw(st.integers(0, 99)))
    want = node.golden((xs[0], spec.inputs[0]), (xs[1], spec.inputs[1]))
    assert np.array_equal(unpack(got.words, lanes, out), want.reshape(-1))
    assert accepted[0] == accepted[1]
    if stalls == (0.0, 0.0) and spec.folding.queue == 16:
        assert list(accepted[0]) == list(range(count))
        assert list(got.cycles) == [c + spec.latency + 2 for c in range(count)]


def test_refusals_name_the_stage_and_the_choice():
    edge = Edge((1, 1, 1, 4), Format(8, True, 0))
    node = Add("sum", ("a", "b"), "sum", (0, 0), Requantizer(Format(8, True, 0), 0))
    for changes, message in (
        ({"lanes": 3, "simd": 3, "pe": 3}, "stage sum: lanes 3 does not divide 4"),
        ({"simd": 1}, "stage sum: a sum has simd and pe 2 like its lanes, carry 1 and ring 0"),
        ({"ring": 4}, "stage sum: a sum has simd and pe 2"),
        ({"queue": 0}, "stage sum: a queue of 0 words cannot hold one result"),
    ):
        with pytest.raises(ValueError, match=message):
            AddSpec(node, (edge, edge), folding(2).model_copy(update=changes), ECP5)
    with pytest.raises(ValueError, match=r"adds \[1, 1, 1, 2\] to \[1, 1, 1, 4\]"):
        AddSpec(node, (edge, Edge((1, 1, 1, 2), edge.format)), folding(2), ECP5)
