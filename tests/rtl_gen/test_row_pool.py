"""Pools without a ring: numpy's own pooling under stalls, every cycle as predicted, close revisits, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT, Edge, Pool
from qtt_hw.window import Window
from rtl_gen.cycles import schedule
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding
from rtl_gen.kinds import spec_of as hardware
from rtl_gen.ring_unit import RingUnit
from rtl_gen.row_pool import RowPool
from sim.stream import transfer

checks = settings(max_examples=25, deadline=None)
UNSIGNED = Format(8, False, 0)


def pooled(x, node):
    """Maximum, or mean rounded half up, of every window's slice; [N, D, H, W, C]."""
    axes = node.window.axes(x.shape[1:])
    y = np.empty((len(x), *(a.out_size for a in axes), x.shape[-1]), dtype=np.int64)
    for place in np.ndindex(*y.shape[1:4]):
        cut = tuple(slice(a.first(o), a.last(o) + 1) for a, o in zip(axes, place, strict=True))
        window = x[:, *cut].reshape(len(x), -1, x.shape[-1])
        if node.kind == "max":
            y[:, *place] = window.max(axis=1)
        else:
            count = node.window.taps if node.counts_padding else window.shape[1]
            y[:, *place] = np.floor_divide(2 * window.sum(axis=1) + count, 2 * count)
    return y


def spec_of(kind, shape, kernel, stride, padding=((0, 0),) * 3, *, simd=1, lanes=None, queue=32, fmt=UNSIGNED):
    node = Pool("pool", (INPUT,), "pool", kind, Window(kernel, stride, padding))
    folding = Folding(simd=simd, pe=simd, lanes=lanes or simd, ring=0, queue=queue)
    return hardware(node, (Edge(shape, fmt),), folding, ECP5)


def run(spec, in_lanes, x, words, **options):
    pack, unpack = words
    packed = pack(x, in_lanes, spec.x.format)
    got = transfer(spec.unit(in_lanes), packed, spec.out_words * len(x), **options)
    return got, unpack(got.words, spec.folding.lanes, spec.out.format)


@checks
@given(st.data())
def test_equals_numpy_under_stalls(accumulated, words, data):
    case = data.draw(accumulated)
    stalls = data.draw(st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.4, 0.4)]))
    _, y = run(case.spec, case.in_lanes, case.x, words, stalls=stalls, seed=data.draw(st.integers(0, 1000)))
    assert np.array_equal(y, pooled(case.x, case.spec.node).reshape(-1))


@checks
@given(st.data())
def test_every_transfer_is_where_the_event_model_has_it(accumulated, words, data):
    case = data.draw(accumulated)
    got, _ = run(case.spec, case.in_lanes, case.x, words)
    taken_in, taken_out = schedule([case.spec], case.in_lanes, len(case.x), classes=None)
    assert [c - taken_in[0] for c in taken_in] == list(got.accepted)
    assert [c - taken_in[0] for c in taken_out] == list(got.produced)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stall", [0.0, 0.3, 0.6])
def test_revisits_within_the_pipeline(words, kind, channels, stall):
    """A window of four taps along W meets its accumulator every `channels` words, in any pattern of pauses."""
    spec = spec_of(kind, (2, 2, 8, channels), (2, 2, 4), (2, 2, 4), simd=1)
    x = np.random.default_rng(channels).integers(0, 256, size=(8, *spec.x.shape))
    _, y = run(spec, 1, x, words, stalls=(stall, 0.0), seed=channels)
    assert np.array_equal(y, pooled(x, spec.node).reshape(-1))


def test_a_word_a_cycle_and_inferences_back_to_back(words):
    same = ((0, 1),) * 3
    spec = spec_of("average", (5, 8, 5, 8), (3, 3, 3), (3, 3, 3), same, simd=2)
    x = np.random.default_rng(0).integers(0, 256, size=(4, *spec.x.shape))
    got, y = run(spec, 2, x, words)
    assert np.array_equal(y, pooled(x, spec.node).reshape(-1))
    assert list(got.accepted) == list(range(4 * spec.in_words))
    assert spec.cycles == spec.in_words


def test_results_on_fewer_lanes_are_spaced_as_the_cycles_of_the_stage_say(words):
    spec = spec_of("average", (4, 4, 4, 12), (2, 2, 2), (2, 2, 2), simd=4, lanes=1, queue=64)
    x = np.random.default_rng(1).integers(0, 256, size=(5, *spec.x.shape))
    got, _ = run(spec, 4, x, words)
    ends = got.produced[spec.out_words - 1 :: spec.out_words]
    assert ends[-1] - ends[-2] == spec.cycles == 4**3 * 3 + 8 * 2 * 3


@pytest.mark.parametrize(
    ("kernel", "depth"),
    [((1, 1, 1), 0), ((1, 1, 3), 2), ((1, 3, 1), 2 * 3), ((1, 3, 3), 2 * 2), ((3, 1, 1), 2 * 3 * 4)],
)
def test_the_memory_is_as_deep_as_windows_are_open_at_once(kernel, depth):
    spec = spec_of("max", (7, 10, 7, 8), kernel, (3, 3, 3), simd=4)
    assert spec.open_depth == depth


def test_overlapping_windows_are_refused_with_what_they_need():
    with pytest.raises(ValueError) as refused:
        spec_of("max", (6, 6, 6, 2), (2, 3, 2), (2, 2, 2))
    overlap = "windows of [2, 3, 2] overlap at strides of [2, 2, 2]"
    assert str(refused.value) == f"stage pool: without a ring, {overlap}; a ring of 100 words is needed"


def test_a_stage_and_a_row_pool_are_not_taken_for_each_other():
    spec = spec_of("max", (2, 2, 2, 4), (2, 2, 2), (2, 2, 2), simd=4)
    assert isinstance(spec.unit(2), RowPool)
    with pytest.raises(ValueError, match="^stage pool: words of 3 values cannot be gathered to words of 4$"):
        RowPool(spec, 3)
    ringed = hardware(spec.node, (spec.x,), spec.folding.model_copy(update={"ring": 16}), ECP5)
    assert isinstance(ringed.unit(2), RingUnit)
