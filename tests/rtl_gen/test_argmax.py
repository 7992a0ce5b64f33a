"""Logits pass through unchanged and in order; the class index follows, the lowest of equals."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format
from rtl_gen.argmax import Argmax, value_bits
from sim.stream import transfer


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(1, 6), st.booleans(), st.sampled_from([(0.0, 0.0), (0.5, 0.5), (0.0, 0.8)]))
def test_logits_then_the_lowest_best_index(words, data, classes, signed, stalls):
    pack, unpack = words
    fmt = Format(3, signed, 0)  # all of whose values are drawn, the ends often
    values = st.one_of(st.sampled_from([fmt.minimum, fmt.maximum]), st.integers(fmt.minimum, fmt.maximum))
    one = st.lists(values, min_size=classes, max_size=classes)
    logits = np.array(data.draw(st.lists(one, min_size=1, max_size=4)))
    got = transfer(Argmax(fmt, classes), pack(logits, 1, fmt), (classes + 1) * len(logits), stalls=stalls)
    bits = value_bits(fmt, classes)
    values = unpack(tuple(w & ((1 << bits) - 1) for w in got.words), 1, Format(bits, True, 0))
    last = np.array([w >> bits for w in got.words])
    table = values.reshape(-1, classes + 1)
    assert np.array_equal(table[:, :-1], logits)
    assert np.array_equal(table[:, -1], np.argmax(logits, axis=1))
    assert np.array_equal(last.reshape(-1, classes + 1), [[0] * classes + [1]] * len(logits))
