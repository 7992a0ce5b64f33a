"""Unfolded axes against a plain loop over windows, with stalls, and their cycles against the event model."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qtt_hw.window import AxisWindow
from rtl_gen.cycles import _Units
from rtl_gen.families import ECP5
from rtl_gen.unfold import QUEUE, Unfold, UnfoldShape
from sim.stream import transfer

WIDTH = 3


@st.composite
def shapes(draw: st.DrawFn) -> UnfoldShape:
    kernel = draw(st.integers(1, 5))
    before, after = (draw(st.integers(0, kernel - 1)) for _ in range(2))
    try:
        axis = AxisWindow(draw(st.integers(1, 9)), kernel, draw(st.integers(1, 3)), before, after)
    except ValueError:
        assume(False)
    return UnfoldShape(axis, draw(st.sampled_from([1, 1, 2, 3, 4, 7, 20])), WIDTH, ECP5)


def unfolded(x: np.ndarray, shape: UnfoldShape) -> list[int]:
    """Words of [lines, size, inner] values."""
    axis, words = shape.axis, []
    for line in x:
        for o in range(axis.out_size):
            for word in range(shape.inner):
                places = [o * axis.stride - axis.before + k for k in range(axis.kernel)]
                taps = [int(line[p, word]) if 0 <= p < axis.size else 0 for p in places]
                words.append(sum(tap << k * WIDTH for k, tap in enumerate(taps)))
    return words


def predicted(shape: UnfoldShape, words: int) -> tuple[list[int], list[int]]:
    """Cycles of the transfers in and out, without stalls."""
    units = _Units()
    i, o = units.add_link(1), units.add_link(1)
    units.add_source(i)
    completes = np.array([shape.completes(k) for k in range(shape.steps)], dtype=np.int64)
    units.add_unfold(i, o, shape.axis.size, shape.inner, QUEUE, shape.latency, shape.steps, completes)
    units.add_sink(o)
    units.offer(words)
    while units.run(100):
        pass
    found = []
    for link in (i, o):
        cycles = np.empty(units.count_records(link), dtype=np.int64)
        units.copy_records(link, cycles)
        found.append(cycles.tolist())
    return found[0], found[1]


@settings(max_examples=60, deadline=None)
@given(shapes(), st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.4, 0.4)]), st.integers(0, 1000))
def test_windows_in_the_predicted_cycles(shape: UnfoldShape, stalls: tuple[float, float], seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, 1 << WIDTH, (4, shape.axis.size, shape.inner))
    want = unfolded(x, shape)
    got = transfer(Unfold(shape), [int(v) for v in x.reshape(-1)], len(want), stalls=stalls, seed=seed)
    assert list(got.words) == want
    if stalls == (0.0, 0.0):
        taken, made = predicted(shape, x.size)
        assert [c - taken[0] for c in taken] == list(got.accepted)
        assert [c - taken[0] for c in made] == list(got.produced)


@pytest.mark.parametrize(
    ("inner", "latency", "registers"), [(1, 1, True), (2, 1, True), (3, 2, False), (1100, 3, False)]
)
def test_earlier_words_stand_in_registers_where_a_memory_would_be_too_slow(
    inner: int, latency: int, registers: bool
) -> None:
    shape = UnfoldShape(AxisWindow(9, 5), inner, 9, ECP5)
    assert (shape.latency, shape.read_latency == 0) == (latency, registers)
