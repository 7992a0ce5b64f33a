"""TT-SVD: the cores of a dense tensor, by rank or by relative error, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qtt_hw.tt.shapes import inner_ranks

__all__ = ["Array", "full", "left_singular", "norm", "relative_error", "singular_values", "tt_svd"]

Array = NDArray[np.float64]


def tt_svd(tensor: NDArray, ranks: int | Sequence[int] | None = None, eps: float | None = None) -> list[Array]:
    """Cores G[i] of shape [r[i], n[i], r[i+1]] with tensor[a, b, ...] ~ G[0][:, a] @ G[1][:, b] @ ...

    Exactly one of `ranks` and `eps` is given. With eps, ||tensor - TT|| <= eps * ||tensor|| holds: each of the d - 1
    truncations may drop eps / sqrt(d - 1) of the norm. All cores but the last are left-orthogonal.

    Parameters
    ----------
    tensor : array, [n[0], ..., n[d-1]]
    ranks : int or sequence of int, optional
        Upper bounds; a rank is less where the unfolding's own rank is.
    eps : float, optional
        Relative error, at least 0 and below 1.

    Returns
    -------
    list of float64 array
    """
    sizes = tensor.shape
    if len(sizes) < 2:
        raise ValueError(f"a tensor train needs at least two modes, got shape {list(sizes)}")
    if (ranks is None) == (eps is None):
        raise ValueError("give either ranks or eps")
    if eps is not None and not 0.0 <= eps < 1.0:
        raise ValueError(f"eps must be at least 0 and below 1, got {eps}")
    bounds = inner_ranks(ranks, len(sizes)) if ranks is not None else None
    rest = np.asarray(tensor, dtype=np.float64)
    if not np.all(np.isfinite(rest)):
        raise ValueError("a tensor to decompose has a value that is not finite")
    budget = 0.0 if eps is None else eps / np.sqrt(len(sizes) - 1) * np.linalg.norm(rest)
    cores: list[Array] = []
    left = 1
    for i, size in enumerate(sizes[:-1]):
        u, s, vt = np.linalg.svd(rest.reshape(left * size, -1), full_matrices=False)
        # What is below rounding carries nothing; a zero tensor keeps rank 1.
        rank = max(1, int(np.count_nonzero(s > s[0] * np.finfo(np.float64).eps * max(u.shape[0], vt.shape[1]))))
        if bounds is not None:
            rank = min(rank, bounds[i])
        else:
            dropped = np.sqrt(np.cumsum(s[::-1] ** 2))[::-1]  # dropped[k]: the norm lost by keeping k singular values
            rank = max(1, min(rank, int(np.count_nonzero(dropped > budget))))
        cores.append(u[:, :rank].reshape(left, size, rank))
        rest = s[:rank, None] * vt[:rank]
        left = rank
    cores.append(rest.reshape(left, sizes[-1], 1))
    return cores


def _square(matrix: Array) -> Array:
    """A matrix [n, n] with the singular values and left vectors of one [n, m], m > n: much faster to decompose."""
    rows, columns = matrix.shape
    if columns <= rows:
        return matrix
    triangle: Array = np.linalg.qr(matrix.T, mode="r")  # type: ignore[assignment]  # an array, in this mode
    return triangle.T


def left_singular(matrix: Array) -> Array:
    """The left singular vectors [n, min(n, m)] of a matrix [n, m]."""
    return np.asarray(np.linalg.svd(_square(matrix), full_matrices=False)[0])


def singular_values(matrix: Array) -> Array:
    """The singular values [min(n, m)] of a matrix [n, m], falling."""
    return np.asarray(np.linalg.svd(_square(matrix), compute_uv=False))


def full(cores: Sequence[Array]) -> Array:
    """The dense tensor of a chain of cores [r, n, r'], outer ranks 1."""
    result = cores[0]
    for core in cores[1:]:
        result = np.tensordot(result, core, axes=1)
    return result.reshape(result.shape[1:-1])


def norm(cores: Sequence[Array]) -> float:
    """The Frobenius norm of the dense tensor, from the cores alone."""
    gram = np.ones((1, 1))
    for core in cores:
        gram = np.einsum("ab,anc,bnd->cd", gram, core, core, optimize=True)
    return float(np.sqrt(gram.item()))


def relative_error(tensor: NDArray, cores: Sequence[Array]) -> float:
    """||tensor - full(cores)|| / ||tensor||; 0 for a zero tensor."""
    size = float(np.linalg.norm(tensor))
    return float(np.linalg.norm(tensor - full(cores))) / size if size > 0.0 else 0.0
