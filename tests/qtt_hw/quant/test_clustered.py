"""Shared weights: Lloyd's algorithm, grouped gradients, 8-bit centroids."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.quant.clustered import ClusteredQuantizer, lloyd


@given(st.integers(1, 5), st.integers(1, 200), st.integers(0, 1000))
def test_lloyd_ends_where_each_is_nearest_to_its_mean(bits: int, count: int, seed: int) -> None:
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    centroids, index = lloyd(values, 1 << bits)
    assert (centroids.diff() >= 0).all()
    distance = (values[:, None] - centroids).abs()
    nearest = distance.gather(1, index[:, None]).flatten()
    assert torch.allclose(nearest, distance.min(dim=1).values, atol=1e-12)
    for cluster in index.unique():
        assert torch.isclose(centroids[cluster], values[index == cluster].mean())


def test_it_begins_with_centroids_spread_evenly() -> None:
    """Four groups that linear centroids find: a density-based start would put most centroids into the first."""
    values = torch.cat([torch.full((97,), 0.0), torch.tensor([1.0, 2.0, 3.0])]).to(torch.float64)
    assert lloyd(values, 4)[0].tolist() == [0.0, 1.0, 2.0, 3.0]


def clustered(weight: torch.Tensor, bits: int = 2) -> ClusteredQuantizer:
    quantizer = ClusteredQuantizer(bits, weight.shape)
    quantizer.calibrate(weight)
    return quantizer


def test_gradients_are_summed_over_a_centroid_s_members() -> None:
    weight = torch.tensor([[-1.0, -0.98, -0.3], [-0.32, 0.3, 0.96]], requires_grad=True)
    quantizer = clustered(weight)
    assert quantizer.codes.tolist() == [[0, 0, 1], [1, 2, 3]]
    (quantizer(weight) * torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])).sum().backward()
    assert quantizer.centroids.grad.tolist() == [3.0, 12.0, 16.0, 32.0]
    assert weight.grad is None


def test_values_are_8_bit_integers_whose_scale_follows_the_largest() -> None:
    weight = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    quantizer = clustered(weight, 3)
    for scale in (1.0, 5.0, 2.0**-9):
        with torch.no_grad():
            quantizer.centroids.mul_(scale)
        fmt = quantizer.format_of(weight)
        integers = quantizer.integers(weight)
        assert fmt.bits == 8 and 64 <= integers.abs().max() <= 127
        assert torch.equal(quantizer(weight).double(), integers * 2.0**-fmt.frac)
        off = integers - (quantizer.centroids.detach() * 2.0**fmt.frac)[quantizer.codes.long()]
        assert off.abs().max() <= 0.5
    assert quantizer.stored_bits(30) == 30 * 3 + 8 * 8
    other = ClusteredQuantizer(3, weight.shape)
    other.load_state_dict(quantizer.state_dict())
    assert torch.equal(other(weight), quantizer(weight))


def test_weights_without_clusters_and_impossible_bits() -> None:
    with pytest.raises(ValueError, match="all its weights are 0"):
        clustered(torch.zeros(3))
    with pytest.raises(ValueError, match="not finite"):
        clustered(torch.tensor([math.nan, 1.0]))
    with pytest.raises(ValueError, match="1 to 8 bits, got 9"):
        ClusteredQuantizer(9, (3,))
