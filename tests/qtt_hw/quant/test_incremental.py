"""Incremental quantisation: the published exponents, largest weights first, what is taken stays."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.quant.incremental import IncrementalQuantizer


def calibrated(weight: torch.Tensor, bits: int = 5) -> IncrementalQuantizer:
    quantizer = IncrementalQuantizer(bits, weight.shape)
    quantizer.calibrate(weight)
    return quantizer


@given(st.integers(2, 6), st.integers(0, 1000))
def test_magnitudes_and_thresholds_are_the_published_ones(bits: int, seed: int) -> None:
    weight = torch.randn(50, generator=torch.Generator().manual_seed(seed))
    greatest = math.floor(math.log2(4 * float(weight.abs().max()) / 3))
    least = greatest + 1 - 2 ** (bits - 1) // 2
    sizes = [0.0] + [2.0**k for k in range(least, greatest + 1)]
    expected = []
    for w in weight.tolist():
        found = 0.0
        for below, size in zip(sizes, sizes[1:], strict=False):
            if (below + size) / 2 <= abs(w) < 3 * size / 2:
                found = math.copysign(size, w)
        expected.append(found)
    quantizer = calibrated(weight, bits)
    book = quantizer.format_of(weight)
    assert (book.magnitudes, book.top) == (2 ** (bits - 2), greatest)
    assert (quantizer.integers(weight) * 2.0**-book.frac).tolist() == expected
    quantizer.take(weight, 1.0)
    assert quantizer(weight).tolist() == expected


def test_three_quarters_of_a_power_of_two_round_up() -> None:
    assert [calibrated(torch.tensor([s])).book.top for s in (0.74, 0.75, 1.0, 1.49, 1.5)] == [-1, 0, 0, 0, 1]


def test_portions_take_the_largest_of_those_left_and_keep_them() -> None:
    weight = torch.tensor([0.1, -0.9, 0.3, 0.7, -0.2, 0.05, 0.6, -0.4])
    quantizer = calibrated(weight)
    assert quantizer.partial and torch.equal(quantizer(weight), weight)
    quantizer.take(weight, 0.5)
    assert quantizer.taken.nonzero().flatten().tolist() == [1, 3, 6, 7]
    assert quantizer(weight).tolist() == pytest.approx([0.1, -1.0, 0.3, 0.5, -0.2, 0.05, 0.5, -0.5], abs=1e-7)
    # Retrained, the free ones in another order; the others' values stand whatever the weights do.
    moved = torch.tensor([0.45, 0.0, 0.1, 0.0, -0.2, 0.05, 0.0, 0.0])
    quantizer.take(moved, 0.75)
    assert quantizer.taken.nonzero().flatten().tolist() == [0, 1, 3, 4, 6, 7]
    other = IncrementalQuantizer(5, weight.shape)
    other.load_state_dict(quantizer.state_dict())
    for each in (quantizer, other):
        each.take(moved, 1.0)
        assert not each.partial
        values = each(moved).tolist()
        assert values == [0.5, -1.0, 0.125, 0.5, -0.25, 0.0625, 0.5, -0.5]
        assert (each.integers(moved) * 2.0**-each.book.frac).tolist() == values


def test_only_free_weights_learn() -> None:
    weight = torch.tensor([1.0, 0.5, 0.25, 0.125], requires_grad=True)
    quantizer = calibrated(weight)
    quantizer.take(weight, 0.5)
    quantizer(weight).sum().backward()
    assert weight.grad.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_weights_without_a_codebook_and_impossible_bits() -> None:
    with pytest.raises(ValueError, match="all its weights are 0"):
        calibrated(torch.zeros(3))
    with pytest.raises(ValueError, match="not finite"):
        calibrated(torch.tensor([math.nan, 1.0]))
    with pytest.raises(ValueError, match="codebook bits must be 2 to 6, got 7"):
        IncrementalQuantizer(7, (3,))
