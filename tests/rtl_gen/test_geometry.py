"""What a window needs, keeps and releases, against a list of the positions that it reads."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qtt_hw.window import Window
from rtl_gen.geometry import Geometry


@st.composite
def geometries(draw):
    shape = draw(st.tuples(*[st.integers(1, 7)] * 3))
    kernel = draw(st.tuples(*[st.integers(1, 4)] * 3))
    stride = draw(st.tuples(*[st.integers(1, 4)] * 3))
    dilation = draw(st.tuples(*[st.sampled_from([1, 1, 2, 3])] * 3))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple((draw(st.integers(0, span - 1)), draw(st.integers(0, span - 1))) for span in spans)
    words = draw(st.integers(1, 3))
    try:
        return Geometry.of(Window(kernel, stride, padding, dilation), (*shape, words), 1)
    except ValueError:
        assume(False)


def taps(axis, o):
    """The inputs of an output on an axis, in order."""
    places = (o * axis.stride - axis.before + k * axis.dilation for k in range(axis.kernel))
    return [place for place in places if 0 <= place < axis.size]


def reads(geometry):
    """For each output position the list of ring words that it reads."""
    sd, sh, sw = geometry.strides
    axes = [[taps(axis, o) for o in range(axis.out_size)] for axis in geometry.axes]
    return [
        [d * sd + h * sh + w * sw + g for d in ds for h in hs for w in ws for g in range(geometry.words)]
        for ds, hs, ws in itertools.product(*axes)
    ]


@given(geometries())
def test_needs_and_keeps_follow_from_the_reads(geometry):
    every = reads(geometry)
    assert geometry.needs.tolist() == [max(words) + 1 for words in every]
    oldest = [min(min(later) for later in every[i:]) for i in range(len(every))]
    if all(any(axis.first(o) == 0 for o in range(axis.out_size)) for axis in geometry.axes):
        assert geometry.keeps.tolist() == oldest
    else:  # what comes before all that is read stays until the first window is done with
        assert geometry.keeps[0] == 0 and all(geometry.keeps <= oldest)
    assert list(geometry.taps) == [len(words) // geometry.words for words in every]
    assert geometry.total_taps == sum(geometry.taps)
    assert geometry.least_taps == min(geometry.taps)


@given(geometries())
def test_the_least_ring_holds_every_window_and_not_a_word_more(geometry):
    spans = [need - keep for need, keep in zip(geometry.needs, geometry.keeps, strict=True)]
    assert geometry.least_ring == max(spans)
    assert geometry.releases[-1] == geometry.volume_words


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (
            Window((1, 2, 1), padding=((0, 0), (2, 0), (0, 0))),
            "axis H: padding before must be 0 to 1 for kernel 2, got 2",
        ),
        (Window((1, 1, 4)), "axis W: kernel 4 is larger than the padded axis of 3"),
        (Window((1, 1, 1), (0, 1, 1)), "axis D: stride must be at least 1, got 0"),
    ],
)
def test_a_window_that_does_not_fit_is_refused_with_its_axis(window, message):
    with pytest.raises(ValueError) as refused:
        Geometry.of(window, (3, 3, 3, 1), 1)
    assert str(refused.value) == message
