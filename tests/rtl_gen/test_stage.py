"""Every kind of stage against the golden model, with random data and stalls, and its cycles against the event model."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl_gen.cycles import schedule
from sim.stream import transfer

checks = settings(max_examples=25, deadline=None)


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


@checks
@given(st.data())
def test_a_wrong_weight_is_seen(cases, words, data):
    """The comparison above can fail: another input gives another output wherever golden says so."""
    case = data.draw(cases)
    spec = case.spec
    changed = np.roll(case.x, 1, axis=1) ^ 1
    changed = spec.x.format.saturate(changed)
    want, other = spec.node.golden((case.x, spec.x)), spec.node.golden((changed, spec.x))
    got = transfer(
        spec.unit(case.in_lanes),
        words[0](changed, case.in_lanes, spec.x.format),
        spec.out_words * len(case.x),
    )
    equal = np.array_equal(words[1](got.words, spec.folding.lanes, spec.out.format), want.reshape(-1))
    assert equal == np.array_equal(want, other)
