"""Empirical variational Bayesian matrix factorisation (EVBMF): the rank of a matrix under noise, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from qtt_hw.tt.svd import singular_values

__all__ = ["Factorisation", "evbmf", "evbmf_rank", "weakened"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Factorisation:
    """The posterior of Y [L, M] as a product of `rank` factors plus noise.

    Attributes
    ----------
    rank : int
        Singular values that stand above the noise; may be 0.
    noise : float
        sigma**2, given or estimated.
    singular_values : float64 array, [rank]
        Shrunk by the posterior.
    left, right : float64 array, [L, rank] and [M, rank]
        Singular vectors: the posterior mean is left @ diag(singular_values) @ right.T.
    """

    rank: int
    noise: float
    singular_values: Array
    left: Array
    right: Array

    @property
    def mean(self) -> Array:
        """The posterior mean, [L, M]."""
        return np.asarray((self.left * self.singular_values) @ self.right.T)


def _tau(x: Array, alpha: float) -> Array:
    half = 0.5 * (x - (1.0 + alpha))
    return np.asarray(half + np.sqrt(np.maximum(half**2 - alpha, 0.0)))


def _free_energy(noise: float, squares: Array, rows: int, columns: int, knee: float) -> float:
    """The part of the free energy, over the columns, that depends on the noise; squares of the singular values."""
    alpha = rows / columns
    x = squares / (columns * noise)
    below, above = x[x <= knee], x[x > knee]
    tau = _tau(above, alpha)
    signal = above - tau + np.log((tau + 1.0) / above) + alpha * np.log(tau / alpha + 1.0)
    return float(np.sum(below - np.log(below)) + np.sum(signal))


def _estimated_noise(squares: Array, rows: int, columns: int, knee: float) -> float:
    """The noise of least free energy, between bounds that hold at its minimum."""
    alpha = rows / columns
    most = min(math.ceil(rows / (1.0 + alpha)) - 1, rows) - 1
    most = min(max(most, 0), rows - 2)
    high = float(squares.sum()) / (rows * columns)
    low = max(float(squares[most + 1]) / (columns * knee), float(squares[most + 1 :].mean()) / columns)
    low = min(max(low, high * 1e-12), high)
    if low == high:
        return high

    def energy(log_noise: float) -> float:
        return _free_energy(math.exp(log_noise), squares, rows, columns, knee)

    # The energy has one minimum a number of kept values; a coarse search first finds the lowest of them.
    steps = np.linspace(math.log(low), math.log(high), 64)
    best = int(np.argmin([energy(step) for step in steps]))
    bounds = steps[max(best - 1, 0)], steps[min(best + 1, len(steps) - 1)]
    found = minimize_scalar(energy, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return math.exp(found.x if found.fun <= energy(steps[best]) else steps[best])


def evbmf(matrix: ArrayLike, noise: float | None = None) -> Factorisation:
    """The empirical variational Bayes factorisation of a matrix [L, M], in either orientation.

    Parameters
    ----------
    matrix : float array, [L, M]
    noise : float, optional
        Variance of every entry's noise; estimated from the matrix when left out, which needs two rows and columns.

    Raises
    ------
    ValueError
        For a matrix that is not two-dimensional, not finite or all zeros, or a noise that is not above 0.

    References
    ----------
    Nakajima, Sugiyama, Babacan, Tomioka, "Global analytic solution of fully-observed variational Bayesian matrix
    factorization", Journal of Machine Learning Research 14 (2013).
    """
    y = _checked(matrix)
    left, values, right = np.linalg.svd(y, full_matrices=False)
    rank, noise = _selected(values, y.shape, noise)
    rows, columns = sorted(y.shape)
    kept = values[:rank]
    share = 1.0 - (rows + columns) * noise / kept**2
    shrunk = 0.5 * kept * (share + np.sqrt(share**2 - 4.0 * rows * columns * noise**2 / kept**4))
    return Factorisation(rank, noise, shrunk, left[:, :rank], right[:rank].T)


def _checked(matrix: ArrayLike) -> Array:
    y = np.asarray(matrix, dtype=np.float64)
    if y.ndim != 2 or 0 in y.shape:
        raise ValueError(f"EVBMF takes a matrix, got shape {list(y.shape)}")
    if not np.isfinite(y).all():
        raise ValueError("EVBMF takes finite values; the matrix holds one that is not")
    return y


def _selected(values: Array, shape: tuple[int, ...], noise: float | None) -> tuple[int, float]:
    """The rank of a matrix with these singular values, and the noise that it stands above."""
    if noise is not None and not noise > 0.0:
        raise ValueError(f"the noise's variance must be above 0, got {noise:g}")
    if values[0] == 0.0:
        raise ValueError("EVBMF takes a matrix that is not all zeros")
    rows, columns = sorted(shape)
    alpha = rows / columns
    tau = 2.5129 * math.sqrt(alpha)
    knee = (1.0 + tau) * (1.0 + alpha / tau)
    # Below the rounding of the decomposition a value says nothing, and its logarithm would.
    squares = np.maximum(values**2, (values[0] * np.finfo(np.float64).eps) ** 2)
    if noise is None:
        if rows < 2:
            raise ValueError(f"the noise of a matrix {list(shape)} cannot be estimated; give it")
        noise = _estimated_noise(squares, rows, columns, knee)
    return int(np.sum(values > math.sqrt(columns * noise * knee))), float(noise)


def weakened(rank: int, most: int, factor: float) -> int:
    """A rank between the selected one and the greatest: rank + (1 - factor) * (most - rank), rounded; at least 1.

    EVBMF's ranks are often too small for a network to recover its accuracy. A factor of 1 keeps the selected rank, one
    of 0 keeps everything.

    Parameters
    ----------
    rank : int
    most : int
        The rank of no compression.
    factor : float
        0 to 1.
    """
    if not 0.0 <= factor <= 1.0:
        raise ValueError(f"the weakening factor must be 0 to 1, got {factor:g}")
    return min(max(1, round(most - factor * (most - rank))), most)


def evbmf_rank(matrix: ArrayLike, noise: float | None = None, factor: float = 1.0) -> int:
    """The EVBMF rank of a matrix [L, M], weakened by a factor, at least 1."""
    y = _checked(matrix)
    rank, _ = _selected(singular_values(y), y.shape, noise)
    return weakened(rank, min(y.shape), factor)
