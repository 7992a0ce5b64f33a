"""TT-ranks: how many a chain of cores needs, how large they can usefully be, and the checks that name what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["full_ranks", "inner_ranks", "parameters"]


def full_ranks(sizes: Sequence[int]) -> tuple[int, ...]:
    """The greatest TT-ranks that a tensor of these mode sizes can have: min of the products on either side."""
    return tuple(min(math.prod(sizes[:i]), math.prod(sizes[i:])) for i in range(1, len(sizes)))


def inner_ranks(ranks: int | Sequence[int], modes: int, what: str = "ranks") -> tuple[int, ...]:
    """The modes - 1 inner TT-ranks; a single number stands for all of them.

    Raises
    ------
    ValueError
        When their number is wrong, or one is below 1.
    """
    given = (ranks,) * (modes - 1) if isinstance(ranks, int) else tuple(int(rank) for rank in ranks)
    if len(given) != modes - 1:
        raise ValueError(f"{what} must be one number or {modes - 1} of them, got {list(given)}")
    if any(rank < 1 for rank in given):
        raise ValueError(f"{what} must be at least 1, got {list(given)}")
    return given


def parameters(sizes: Sequence[int], ranks: Sequence[int]) -> int:
    """sum r[i] * n[i] * r[i+1] over the cores, with inner ranks given and outer ranks 1."""
    full = (1, *ranks, 1)
    return sum(full[i] * size * full[i + 1] for i, size in enumerate(sizes))
