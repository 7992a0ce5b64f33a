"""TT-Tucker: a Tucker decomposition of the channel modes and a tensor train of its core, folded into one train."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qtt_hw.tt.svd import left_singular, tt_svd

__all__ = ["mode_product", "partial_tucker", "tt_tucker", "unfolding"]

Array = NDArray[np.float64]

#: Sweeps of the alternating refinement; it stops earlier where the core's norm no longer grows.
SWEEPS = 20
#: Relative growth of the core's norm below which it does not.
SETTLED = 1e-9


def unfolding(tensor: NDArray, mode: int) -> Array:
    """The matrix [n[mode], the product of the others] whose rows are the mode's slices; float64."""
    moved = np.moveaxis(np.asarray(tensor, np.float64), mode, 0)
    return moved.reshape(moved.shape[0], -1)


def mode_product(tensor: Array, matrix: Array, mode: int) -> Array:
    """matrix [m, n] applied to a mode of size n."""
    return np.asarray(np.moveaxis(np.tensordot(matrix, tensor, axes=(1, mode)), 0, mode))


def partial_tucker(tensor: NDArray, modes: Sequence[int], ranks: Sequence[int]) -> tuple[Array, list[Array]]:
    """The core and the orthogonal factors U[n, r] of some modes: tensor ~ core times each factor on its mode.

    A mode of full rank keeps its basis. The other factors are the leading singular vectors of the unfoldings, each of
    what those before it leave, then refined in turn, which never makes the error larger (higher-order orthogonal
    iteration).

    Parameters
    ----------
    tensor : array
    modes, ranks : sequence of int
        Ranks are upper bounds.

    Raises
    ------
    ValueError
        For a rank below 1, or a tensor that is not finite.

    References
    ----------
    Kolda, Bader, "Tensor decompositions and applications", SIAM Review 51 (2009).
    """
    x = np.asarray(tensor, np.float64)
    if not np.isfinite(x).all():
        raise ValueError("a tensor to decompose has a value that is not finite")
    if len(modes) != len(ranks) or min(ranks) < 1:
        raise ValueError(f"{len(modes)} modes need as many ranks of at least 1, got {list(ranks)}")

    factors = [np.eye(x.shape[mode]) for mode in modes]
    # A mode's rank is at most what its unfolding has columns.
    cut = [i for i, mode in enumerate(modes) if ranks[i] < x.shape[mode] or x.size < x.shape[mode] ** 2]
    found: list[int] = []

    def without(index: int | None) -> Array:
        y = x
        for other in found:
            if other != index:
                y = mode_product(y, factors[other].T, modes[other])
        return y

    core, size = x, 0.0
    for _ in range(SWEEPS):
        for index in cut:
            factors[index] = left_singular(unfolding(without(index), modes[index]))[:, : ranks[index]]
            found = sorted({*found, index})
        core = without(None)
        before, size = size, float(np.linalg.norm(core))
        if len(cut) < 2 or size <= before * (1.0 + SETTLED):
            break
    return core, factors


def tt_tucker(
    tensor: NDArray, tucker: tuple[int, int], ranks: int | Sequence[int] | None = None, eps: float | None = None
) -> list[Array]:
    """Cores [r, n, r'] of a kernel [in, ..., out]: Tucker on its ends, a tensor train of the core, the ends folded in.

    A Tucker factor and the core next to it are one matrix, so the result is a train over the kernel's own modes, as
    `tt_svd` gives it; its end ranks are at most the Tucker ranks.

    Parameters
    ----------
    tensor : array, [in, ..., out]
    tucker : (int, int)
        Ranks of the first and the last mode: upper bounds.
    ranks, eps : optional
        Of the core's tensor train, as for `tt_svd`; its full ranks when both are left out.

    References
    ----------
    The method of "A TT-Tucker Decomposition-Based LC Convolutional Neural Network Compression Method Without
    Pre-Training", doi 10.12141/j.issn.1000-565X.230617, as far as its abstract tells.
    """
    last = np.ndim(tensor) - 1
    if last < 1:
        raise ValueError(f"a kernel needs at least two modes, got shape {list(np.shape(tensor))}")
    core, (first, final) = partial_tucker(tensor, (0, last), tucker)
    cores = tt_svd(core, ranks, 0.0 if ranks is None and eps is None else eps)
    cores[0] = np.einsum("nr,arb->anb", first, cores[0])
    cores[-1] = np.einsum("nr,arb->anb", final, cores[-1])
    return cores
