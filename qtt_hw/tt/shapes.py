"""TT-ranks: how many a chain of cores needs, how large they can usefully be, and the checks that name what is wrong."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Sequence

__all__ = ["check_ranks", "check_tucker", "full_ranks", "inner_ranks", "parameters", "warn_if_larger"]


def full_ranks(sizes: Sequence[int]) -> tuple[int, ...]:
    """The greatest TT-ranks that a tensor of these mode sizes can have: min of the products on either side."""
    return tuple(min(math.prod(sizes[:i]), math.prod(sizes[i:])) for i in range(1, len(sizes)))


def inner_ranks(ranks: int | Sequence[int], modes: int, what: str = "ranks") -> tuple[int, ...]:
    """The modes - 1 inner TT-ranks; a single number stands for all of them.

    Raises
    ------
    ValueError
        When their number is wrong, or one is below 1 or not a whole number.
    """
    several = [*ranks] if isinstance(ranks, Sequence) and not isinstance(ranks, str) else [ranks] * (modes - 1)
    if not all(isinstance(rank, numbers.Integral) and not isinstance(rank, bool) for rank in several):
        raise ValueError(f"{what} must be whole numbers, got {ranks!r}")
    given = tuple(int(rank) for rank in several)  # type: ignore[arg-type]
    if len(given) != modes - 1:
        raise ValueError(f"{what} must be one number or {modes - 1} of them, got {list(given)}")
    if any(rank < 1 for rank in given):
        raise ValueError(f"{what} must be at least 1, got {list(given)}")
    return given


def check_ranks(
    ranks: int | Sequence[int], sizes: Sequence[int], what: str = "ranks", free: Sequence[int] = ()
) -> None:
    """Refuse ranks above those that a tensor of these mode sizes can have, which would add parameters and nothing else.

    A single number stands for all ranks, some of which it may exceed; it is refused where it exceeds them all.

    Parameters
    ----------
    ranks : int or sequence of int
        Inner TT-ranks.
    sizes : sequence of int
        Of the modes.
    what : str
        For the message: the option, and the layer where it is known.
    free : sequence of int
        Places of ranks that are not checked: of an end without a core of its own.

    Raises
    ------
    ValueError
        One line with the largest ranks that are of use.
    """
    bounds = full_ranks(sizes)
    given = inner_ranks(ranks, len(sizes), what)
    above = [i for i, (rank, bound) in enumerate(zip(given, bounds, strict=True)) if rank > bound and i not in free]
    if not above or (isinstance(ranks, int) and len(above) < len(bounds)):
        return
    place = above[0] if not isinstance(ranks, int) else max(range(len(bounds)), key=bounds.__getitem__)
    raise ValueError(
        f"{what}: {given[place]} is above {bounds[place]}, the largest that is of use between modes {place} and "
        f"{place + 1} of {list(sizes)}; the largest of all are {list(bounds)}"
    )


def check_tucker(ranks: Sequence[int], channels: tuple[int, int], what: str = "ranks") -> None:
    """Refuse Tucker ranks of the input and the output channels that are not two, below 1 or above the channels.

    Raises
    ------
    ValueError
        One line with the largest ranks that are of use.
    """
    if len(ranks) != 2 or any(not 1 <= rank <= most for rank, most in zip(ranks, channels, strict=True)):
        raise ValueError(f"{what} must be at least 1, and at most {channels[0]} and {channels[1]}, got {list(ranks)}")


def warn_if_larger(count: int, dense: int, what: str) -> None:
    """Warn where a tensor train has more parameters than the dense layer that it stands for."""
    if count > dense:
        warnings.warn(
            f"{what}: {count} parameters, more than the {dense} of the dense layer: lower its ranks", stacklevel=3
        )


def parameters(sizes: Sequence[int], ranks: Sequence[int]) -> int:
    """sum r[i] * n[i] * r[i+1] over the cores, with inner ranks given and outer ranks 1."""
    full = (1, *ranks, 1)
    return sum(full[i] * size * full[i + 1] for i, size in enumerate(sizes))
