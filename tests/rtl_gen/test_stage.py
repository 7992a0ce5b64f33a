"""Every kind of stage against the golden model, with random data and stalls, and its cycles against the event model."""

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import as_integers
from qtt_hw.graph import Contraction
from rtl_gen.cycles import schedule
from rtl_gen.kinds import spec_of
from sim.stream import transfer

checks = settings(max_examples=16, deadline=None)


@checks
@given(st.data())
def test_equals_golden_under_stalls(cases, words, data):
    case = data.draw(cases)
    pack, unpack = words
    spec, lanes = case.spec, case.spec.folding.lanes
    stalls = data.draw(st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.4, 0.4)]))
    want = spec.node.golden((case.x, spec.x))
    got = transfer(
        spec.unit(case.in_lanes),
        pack(case.x, case.in_lanes, spec.x.format),
        spec.out_words * len(case.x),
        stalls=stalls,
        seed=data.draw(st.integers(0, 1000)),
    )
    assert np.array_equal(unpack(got.words, lanes, spec.out.format), want.reshape(-1))


@checks
@given(st.data())
def test_carried_modes_equal_golden_and_take_the_predicted_cycles(carried_cases, words, data):
    case = data.draw(carried_cases)
    pack, unpack = words
    spec, lanes = case.spec, case.spec.folding.lanes
    given_words, wanted = pack(case.x, case.in_lanes, spec.x.format), spec.out_words * len(case.x)
    want = spec.node.golden((case.x, spec.x)).reshape(-1)
    got = transfer(spec.unit(case.in_lanes), given_words, wanted)
    assert np.array_equal(unpack(got.words, lanes, spec.out.format), want)
    taken_in, taken_out = schedule([spec], case.in_lanes, len(case.x), classes=None)
    assert [c - taken_in[0] for c in taken_in] == list(got.accepted)
    assert [c - taken_in[0] for c in taken_out] == list(got.produced)
    stalled = transfer(spec.unit(case.in_lanes), given_words, wanted, stalls=(0.3, 0.5), seed=1)
    assert stalled.words == got.words


@checks
@given(st.data())
def test_takes_the_predicted_cycles(cases, words, data):
    case = data.draw(cases)
    spec = case.spec
    got = transfer(
        spec.unit(case.in_lanes),
        words[0](case.x, case.in_lanes, spec.x.format),
        spec.out_words * len(case.x),
    )
    taken_in, taken_out = schedule([spec], case.in_lanes, len(case.x), classes=None)
    assert [c - taken_in[0] for c in taken_in] == list(got.accepted)
    assert [c - taken_in[0] for c in taken_out] == list(got.produced)


def other_weight(node: Contraction, place: int, choice: int) -> Contraction:
    """The contraction with another legal integer in one place."""
    book = node.weight_format
    if isinstance(book, Codebook):
        legal = [sign << e for e in range(book.magnitudes) for sign in (1, -1)] + [0] * book.zero
    else:
        legal = list(range(book.minimum, book.maximum + 1))
    weight = np.array(node.weight)
    others = [value for value in legal if value != weight.flat[place % weight.size]]
    weight.flat[place % weight.size] = others[choice % len(others)]
    return replace(node, weight=as_integers(weight))


@settings(checks, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data(), st.integers(0, 1 << 16), st.integers(0, 255))
def test_a_wrong_weight_is_seen(cases, words, data, place, choice):
    """The comparison above fails for hardware with one weight wrong, wherever that makes a difference at all."""
    case = data.draw(cases)
    spec = case.spec
    assume(isinstance(spec.node, Contraction))
    wrong = spec_of(other_weight(spec.node, place, choice), (spec.x,), spec.folding, spec.family)
    want, other = (node.golden((case.x, spec.x)).reshape(-1) for node in (spec.node, wrong.node))
    assume(not np.array_equal(want, other))
    got = transfer(
        wrong.unit(case.in_lanes), words[0](case.x, case.in_lanes, spec.x.format), spec.out_words * len(case.x)
    )
    found = words[1](got.words, spec.folding.lanes, spec.out.format)
    assert not np.array_equal(found, want)
    assert np.array_equal(found, other)
