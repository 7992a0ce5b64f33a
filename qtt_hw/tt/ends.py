"""The ends of a kernel's tensor train: where its first or last core is better part of the one next to it.

A train over (in, *axes, out) begins and ends with a matrix of channels and a rank. Multiplied into the core beside it,
it may leave no more parameters: n * k * r' in place of n * r + r * k * r'. The channels then need no rank: nothing is
lost at that end, and the layer has a stage less. A linear layer's train, over (in, out), is nothing but its two ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qtt_hw.tt.shapes import check_ranks, full_ranks, inner_ranks, parameters
from qtt_hw.tt.svd import Array, tt_svd
from qtt_hw.tt.tucker import tt_tucker

__all__ = [
    "absorb_ends",
    "check_layer_ranks",
    "kept_ends",
    "layer_parameters",
    "layer_ranks",
    "layer_train",
    "layer_tucker",
]


def kept_ends(sizes: Sequence[int], ranks: Sequence[int]) -> tuple[bool, bool]:
    """Whether the first and the last core stand for themselves: where multiplied into the next they would be larger.

    Parameters
    ----------
    sizes : sequence of int
        Of the modes: 2, where both ends are kept, or at least 4; with 3 both would be decided about the same core.
    ranks : sequence of int
        Inner TT-ranks.
    """

    def kept(n: int, r: int, k: int, other: int) -> bool:
        return n * k * other > n * r + r * k * other

    if len(sizes) == 2:
        return True, True
    return kept(sizes[0], ranks[0], sizes[1], ranks[1]), kept(sizes[-1], ranks[-1], sizes[-2], ranks[-2])


def layer_parameters(sizes: Sequence[int], ranks: Sequence[int]) -> int:
    """Of the layer of these ranks."""
    ranks = layer_ranks(sizes, ranks)
    first, last = kept_ends(sizes, ranks)
    return parameters(sizes, ranks) - (0 if first else sizes[0] ** 2) - (0 if last else sizes[-1] ** 2)


def layer_ranks(sizes: Sequence[int], ranks: int | Sequence[int]) -> tuple[int, ...]:
    """The ranks of the layer: at most those a train can have, and at an end that is not kept those of its channels."""
    bounds = list(map(min, inner_ranks(ranks, len(sizes)), full_ranks(sizes)))
    for i in range(1, len(bounds)):
        bounds[i] = min(bounds[i], bounds[i - 1] * sizes[i])
    if len(sizes) == 2:
        return tuple(bounds)
    first, last = kept_ends(sizes, bounds)
    return (bounds[0] if first else sizes[0], *bounds[1:-1], bounds[-1] if last else sizes[-1])


def check_layer_ranks(ranks: int | Sequence[int], sizes: Sequence[int], what: str = "ranks") -> None:
    """Refuse ranks of no use, as `check_ranks`, but for those that `layer_ranks` gives an end that is not kept.

    Such a rank is the number of channels, which may be more than a train can have: 32 of a pointwise layer 16 -> 32.
    """
    free: list[int] = []
    if not isinstance(ranks, int) and len(sizes) > 2:  # with every channel an end is never kept
        given = inner_ranks(ranks, len(sizes), what)
        free = [place for place, size in ((0, sizes[0]), (len(given) - 1, sizes[-1])) if given[place] == size]
    check_ranks(ranks, sizes, what, free)


def layer_tucker(sizes: Sequence[int], ranks: Sequence[int], tucker: tuple[int, int]) -> tuple[int, int]:
    """Tucker ranks of the layer of these ranks: all channels at an end that is not kept."""
    first, last = kept_ends(sizes, ranks)
    return (tucker[0] if first else sizes[0], tucker[1] if last else sizes[-1])


def absorb_ends(cores: Sequence[Array]) -> list[Array]:
    """A train of the same tensor, with identities for the ends that are not kept: the next cores have taken them in."""
    first, *inner, last = cores
    sizes, ranks = [core.shape[1] for core in cores], [core.shape[2] for core in cores[:-1]]
    kept = kept_ends(sizes, ranks)
    if not kept[0]:
        inner[0] = np.tensordot(first[0], inner[0], axes=1)
        first = np.eye(sizes[0])[None]
    if not kept[1]:
        inner[-1] = np.tensordot(inner[-1], last[..., 0], axes=1)
        last = np.eye(sizes[-1])[..., None]
    return [first, *inner, last]


def layer_train(
    kernel: NDArray,
    ranks: int | Sequence[int] | None = None,
    eps: float | None = None,
    tucker: tuple[int, int] | None = None,
) -> list[Array]:
    """The cores [r, n, r'] of the layer that stands for a kernel [in, *axes, out], identities for ends not kept.

    By upper bounds on the ranks, of which an end that is not kept has none, or by relative error. With `tucker`, ranks
    of the input and the output channels where these are kept, it is the TT-Tucker decomposition, whose ranks may then
    be left out: the core keeps its full ones. Both cores of a matrix [in, out] have equal parts in every singular
    value, so that one scale does for each.
    """
    sizes = kernel.shape
    if ranks is None and tucker is not None and eps is None:
        ranks = [core.shape[2] for core in tt_tucker(kernel, tucker)[:-1]]
    if ranks is not None:
        ranks = layer_ranks(sizes, ranks)
        if tucker is not None:
            tucker = layer_tucker(sizes, ranks, tucker)
    cores = tt_svd(kernel, ranks, eps) if tucker is None else tt_tucker(kernel, tucker, ranks, eps)
    return _balanced(*cores) if len(sizes) == 2 else absorb_ends(cores)


def _balanced(first: Array, last: Array) -> list[Array]:
    """A train of two cores with as large a norm in the one as in the other for each value of the rank between them."""
    left, right = np.linalg.norm(first, axis=(0, 1)), np.linalg.norm(last, axis=(1, 2))
    share = np.sqrt(np.where(left * right > 0.0, right, 1.0) / np.where(left * right > 0.0, left, 1.0))
    return [first * share, last / share[:, None, None]]
