"""Contractions by blocks of windows equal the sum that defines them, whatever the blocks."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Contraction, Edge, products
from qtt_hw.window import Window


def defined(node: Contraction, x: np.ndarray) -> np.ndarray:
    """The contraction as its docstring says, window by window, in int64."""
    window, weight = node.window, node.weight.reshape(node.groups, node.out_size, *node.weight.shape[1:])
    n, *sizes, _ = x.shape
    modes = x.reshape(n, *sizes, node.lead, node.groups, node.in_size, node.trail)
    positions = window.out_positions((*sizes, node.in_channels))
    found = np.zeros((n, *positions, node.lead, node.groups, node.out_size, node.trail), np.int64)
    for v in np.ndindex(positions):
        for tap in np.ndindex(window.kernel):
            at = [
                o * s + t * dilation - before
                for o, s, t, dilation, (before, _) in zip(
                    v, window.stride, tap, window.dilation, window.padding, strict=True
                )
            ]
            if all(0 <= place < size for place, size in zip(at, sizes, strict=True)):
                taken = modes[:, at[0], at[1], at[2]]
                found[:, v[0], v[1], v[2]] += np.einsum("goi,nlgit->nlgot", weight[:, :, *tap], taken)
    return node.requant(found.reshape(n, *positions, node.out_channels))


@given(st.data())
def test_contractions_equal_their_definition(data: st.DataObject) -> None:
    draw = data.draw
    kernel, stride, dilation, more = (draw(st.tuples(*[st.integers(1, 3)] * 3)) for _ in range(4))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    shape = [span + extra for span, extra in zip(spans, more, strict=True)]
    padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in kernel)
    lead, trail, groups = draw(st.sampled_from([(1, 1, 1), (3, 1, 1), (1, 2, 1), (2, 3, 1), (1, 1, 2), (1, 1, 5)]))
    taken, out, samples = (draw(st.integers(1, 3)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    bits = draw(st.sampled_from([4, 15]))  # sums of floats of either width
    weight = as_integers(rng.integers(1 - (1 << bits - 1), 1 << bits - 1, (groups * out, *kernel, taken)))
    fmt, channels = Format(draw(st.sampled_from([1, 8])), False, 0), lead * groups * out * trail
    affine = draw(st.booleans())
    requant = Requantizer(
        Format(8, True, 0),
        draw(st.integers(0, 20)),
        tuple(rng.integers(-(1 << 15), 1 << 15, channels).tolist()) if affine else None,
        tuple(rng.integers(-(1 << 31), 1 << 31, channels).tolist()) if affine else None,
    )
    node = Contraction(
        "c", ("x",), "c", Window(kernel, stride, padding, dilation), weight, Format(bits, True, 0, narrow=True),
        requant, lead, trail, groups,
    )  # fmt: skip
    edge = Edge((*shape, lead * groups * taken * trail), fmt)
    node.output(edge)
    x = rng.integers(fmt.minimum, fmt.maximum + 1, (samples, *edge.shape))
    expected = defined(node, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "LEAST_ROWS", 1)
        patch.setattr(products, "BLOCK_BYTES", draw(st.sampled_from([1, 1000, 1 << 21])))
        for kind in (np.int64, np.int32):
            assert np.array_equal(node.golden((x.astype(kind), edge)), expected)


@given(st.tuples(*[st.integers(1, 5)] * 3), st.integers(1, 4), st.integers(1, 100))
def test_blocks_are_the_whole_once_and_no_larger_than_they_may_be(sizes: tuple[int, ...], each: int, most: int) -> None:
    count = np.zeros(sizes, np.int64)
    for part in products.blocks(sizes, each, most):
        count[part] += 1
        assert count[part].size * each <= max(most, each)
    assert (count == 1).all()


def test_samples_of_a_block_change_nothing() -> None:
    """An empty batch, one sample, and more than a block takes."""
    node = Contraction(
        "c", ("x",), "c", Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1))),
        as_integers(np.arange(9 * 4).reshape(2, 1, 3, 3, 2) % 7 - 3), Format(4, True, 0, narrow=True),
        Requantizer(Format(8, False, 0), 2),
    )  # fmt: skip
    edge = Edge((1, 40, 50, 2), Format(8, True, 0))
    x = np.random.default_rng(0).integers(-128, 128, (30, *edge.shape), np.int32)
    together = node.golden((x, edge))
    assert node.golden((x[:0], edge)).shape == (0, 1, 40, 50, 2)
    for k in (0, 17, 29):
        assert np.array_equal(node.golden((x[k : k + 1], edge))[0], together[k])


def test_even_parts() -> None:
    for size, most in product(range(1, 12), range(14)):
        parts = products.even(size, most)
        lengths = [part.stop - part.start for part in parts]
        assert sum(lengths) == size and max(lengths) <= max(most, 1) and max(lengths) - min(lengths) <= 1
