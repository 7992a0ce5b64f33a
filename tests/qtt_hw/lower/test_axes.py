"""Axes of views and permutations against PyTorch's own, on the places of a stream."""

import random

import pytest
import torch

from qtt_hw.lower.axes import Axes, C, Part, W


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@pytest.mark.parametrize("seed", range(200))
def test_random_views_and_permutations(seed: int) -> None:
    """Axes are joined, split, exchanged, made and taken away at random."""
    draw = random.Random(seed)
    shape = tuple(draw.choice([1, 2, 3, 4, 6]) for _ in range(4))
    tensor = torch.arange(shape[0] * shape[1] * shape[2] * shape[3]).view(shape).permute(3, 0, 1, 2)
    axes = Axes.of(shape)
    assert axes.is_volume(shape)
    for _ in range(8):
        sizes = list(tensor.shape)
        if draw.random() < 0.4:
            order = draw.sample(range(tensor.ndim), tensor.ndim)
            tensor, axes = tensor.permute(order), axes.permuted(order)
        else:
            at = draw.randrange(len(sizes))
            if draw.random() < 0.5 and at + 1 < len(sizes):
                sizes[at : at + 2] = [sizes[at] * sizes[at + 1]]
            else:
                factor = draw.choice(divisors(sizes[at]))
                sizes[at : at + 1] = [factor, sizes[at] // factor]
            found = axes.reshaped(sizes)
            if found is None:  # as 2 x 3 of one axis and another, seen as 3 x 2
                break
            tensor, axes = tensor.reshape(sizes), found
        assert axes.sizes == tuple(tensor.shape)
        assert torch.equal(axes.order(shape), tensor.flatten())


def test_what_spans_no_whole_parts_is_none() -> None:
    axes = Axes.of((1, 1, 3, 2))
    assert axes.reshaped((3, 2)) is None  # C = 2 first, then W = 3
    assert axes.reshaped((2, 3)) == Axes(((Part(C, 2),), (Part(W, 3),)))
    assert axes.reshaped((6,)) == Axes.of((1, 1, 3, 2), 1)
    assert axes.reshaped((7,)) is None and axes.reshaped((3,)) is None
    assert str(axes) == "[N, C, 1, 1, W]"
