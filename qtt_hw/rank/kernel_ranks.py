"""Ranks of one kernel: from its weights by EVBMF, or by Bayesian optimisation of error and cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from qtt_hw.rank.evbmf import evbmf_rank
from qtt_hw.rank.study import search
from qtt_hw.tt.ends import layer_parameters, layer_ranks, layer_tucker
from qtt_hw.tt.shapes import full_ranks
from qtt_hw.tt.svd import left_singular, singular_values, tt_svd
from qtt_hw.tt.tucker import mode_product, partial_tucker, unfolding

__all__ = ["evbmf_ranks", "optimised_ranks", "published_tucker_ranks"]

#: What takes the place of a cost ratio above 1 in the published objective.
TOO_COSTLY = 5.0
#: Trials of the published search: ten at random, three chosen.
PUBLISHED_TRIALS = 13


def evbmf_ranks(kernel: NDArray, factor: float = 1.0) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Tucker ranks (in, out) of a kernel [in, *axes, out], and TT-ranks of its core, all by EVBMF.

    The Tucker ranks are those of the two channel unfoldings, the TT-ranks those of the unfoldings between the axes, at
    most what the core can have (the kernel's are larger matrices than the core's, so that noise stands out better); the
    end ranks are the Tucker ranks.

    Parameters
    ----------
    kernel : float array, [in, *axes, out]
    factor : float
        Weakens every rank, see `rank.evbmf.weakened`.
    """
    last = kernel.ndim - 1

    def rank_of(matrix: NDArray) -> int:
        return evbmf_rank(matrix, factor=factor) if min(matrix.shape) > 1 else 1

    if last == 1:  # a matrix, whose unfoldings are one
        rank = rank_of(kernel)
        return (rank, rank), (rank,)
    ends = tuple(rank_of(unfolding(kernel, mode)) for mode in (0, last))
    inner = []
    for i in range(2, last):
        rank = rank_of(kernel.reshape(prod(kernel.shape[:i]), -1))
        inner.append(min(rank, ends[0] * prod(kernel.shape[1:i]), prod(kernel.shape[i:last]) * ends[1]))
    return (ends[0], ends[1]), (ends[0], *inner, ends[1])


def published_tucker_ranks(kernel: NDArray, seed: int = 0, trials: int = PUBLISHED_TRIALS) -> tuple[int, int]:
    """Tucker ranks (in, out) of least ||W - W'|| / ||W|| + multiplications' / multiplications.

    W' is of the leading singular vectors of both unfoldings; `partial_tucker` then comes nearer.

    Parameters
    ----------
    kernel : float array, [in, *axes, out]
        At least 3 channels on either side.
    seed, trials : int

    References
    ----------
    Kim, Lee, Choe, "Bayesian optimization-based global optimal rank selection for compression of convolutional neural
    networks", IEEE Access 8 (2020). There ranks are real numbers that are truncated; here they are integers.
    """
    taken, *axes, made = kernel.shape
    if min(taken, made) < 3:
        raise ValueError(f"a kernel of {taken} and {made} channels has no ranks from 2 to one less than them")
    taps, size = prod(axes), float(np.linalg.norm(kernel))
    if size == 0.0:
        raise ValueError("a kernel of zeros has no ranks to choose")

    # Of every pair of ranks at once: what the leading singular vectors keep of the norm.
    whole, ends = kernel, (0, kernel.ndim - 1)
    for mode in ends:
        whole = mode_product(whole, left_singular(unfolding(kernel, mode)).T, mode)
    kept = (whole**2).sum(axis=tuple(range(1, ends[1]))).cumsum(axis=0).cumsum(axis=1)

    def cost(ranks: dict[str, int]) -> tuple[float]:
        i, o = ranks["in"], ranks["out"]
        # An unfolding with few columns has fewer vectors than channels.
        held = float(kept[min(i, len(kept)) - 1, min(o, kept.shape[1]) - 1])
        error = max(size**2 - held, 0.0) ** 0.5 / size
        ratio = (taken * i + i * o * taps + o * made) / (taken * made * taps)
        return (error + (ratio if ratio <= 1.0 else TOO_COSTLY),)

    found = search("tucker", {"in": (2, taken - 1), "out": (2, made - 1)}, cost, ["minimize"], trials, seed=seed)
    best = found.best[0]
    return best.ranks["in"], best.ranks["out"]


def optimised_ranks(
    kernel: NDArray, tucker: tuple[int, int] | None = None, seed: int = 0, trials: int = 30
) -> tuple[int, ...]:
    """TT-ranks of a kernel [in, *axes, out] of least ||W - W'|| / ||W|| + multiplications' / multiplications.

    Both are those of the layer of these ranks, see `qtt_hw.tt.ends`. From those that EVBMF finds. With `tucker`, only
    the ranks inside its core are chosen, the ends are the Tucker ranks. The cost's share counts as it is, also above 1:
    a step there would only mislead the Gaussian process.

    Parameters
    ----------
    kernel : float array, [in, *axes, out]
    tucker : (int, int), optional
    seed, trials : int
    """
    taken, *axes, made = kernel.shape
    names = [f"r{i}" for i in range(1, kernel.ndim)]
    most = full_ranks(kernel.shape if tucker is None else (min(tucker[0], taken), *axes, min(tucker[1], made)))
    free = {name: (1, rank) for name, rank in zip(names, most, strict=True)}
    if tucker is not None:
        for name in (names[0], names[-1]):
            free.pop(name, None)  # of a matrix they are one
    if not free:
        return most
    error = _error_of(kernel, tucker)

    def ranks_of(chosen: dict[str, int]) -> tuple[int, ...]:
        return tuple(chosen.get(name, rank) for name, rank in zip(names, most, strict=True))

    def cost(chosen: dict[str, int]) -> tuple[float]:
        ranks = ranks_of(chosen)
        ratio = layer_parameters(kernel.shape, ranks) / (taken * made * prod(axes))
        return (error(ranks) + ratio,)

    guess = dict(zip(names, evbmf_ranks(kernel)[1], strict=True))
    first = [{name: min(guess[name], rank) for name, (_, rank) in free.items()}]
    found = search("train", free, cost, ["minimize"], trials, first=first, seed=seed)
    return ranks_of(found.best[0].ranks)


def _error_of(kernel: NDArray, tucker: tuple[int, int] | None) -> Callable[[tuple[int, ...]], float]:
    """The relative error of the kernel's layer by its TT-ranks; what many ranks share is computed once."""
    shape, size, last = kernel.shape, float(np.linalg.norm(kernel)), kernel.ndim - 1

    @cache
    def core_of(ends: tuple[int, int]) -> NDArray:
        return partial_tucker(kernel, (0, last), ends)[0]

    @cache
    def middle(ends: tuple[int, int]) -> NDArray:
        core = core_of(ends)
        return singular_values(core.reshape(prod(core.shape[:2]), -1))

    @cache
    def error(ranks: tuple[int, ...]) -> float:
        if size == 0.0:
            return 0.0
        ranks = layer_ranks(shape, ranks)
        if tucker is None:
            kept = float(np.linalg.norm(tt_svd(kernel, ranks)[-1]))
        elif last == 3:
            # Two axes: nothing but the rank between them cuts the core.
            kept = float(np.linalg.norm(middle(layer_tucker(shape, ranks, tucker))[: ranks[1]]))
        else:
            kept = float(np.linalg.norm(tt_svd(core_of(layer_tucker(shape, ranks, tucker)), ranks)[-1]))
        # All cores but the last are orthogonal, so what it lacks of the norm is the error.
        return max(size**2 - kept**2, 0.0) ** 0.5 / size

    return error
