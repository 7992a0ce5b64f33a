"""Windowed sums of products by BLAS: the inputs of a block of windows side by side, then one matrix product.

Sums are exact in any order: the float type is one that holds every partial sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from qtt_hw.graph.node import Edge
from qtt_hw.graph.requantize import FloatRequantizer
from qtt_hw.graph.taps import padded, taps
from qtt_hw.window import Window

__all__ = ["BLOCK_BYTES", "LEAST_ROWS", "GroupedProduct", "WindowedProduct", "blocks"]

#: Of a block's inputs, sums and results: small enough to be in a cache still when they are read, and large enough that
#: the calls of numpy themselves take little time (measured: a half and twice of it take some per cent more).
BLOCK_BYTES = 1 << 21
#: Windows in a block at least, however large they are: a matrix product reads all weights for each block.
LEAST_ROWS = 32
#: Of a sum, as it is requantised and as a result.
_RESULT_BYTES = 16


def even(size: int, most: int) -> list[slice]:
    """Parts of an axis of at most so many indices, 1 at least: as few as can be, and alike."""
    parts = max(-(-size // max(most, 1)), 1)
    ends = [size * part // parts for part in range(parts + 1)]
    return [slice(first, last) for first, last in pairwise(ends)]


def blocks(sizes: tuple[int, ...], each: int, most: int) -> Iterator[tuple[slice, ...]]:
    """Parts of axes, in order, that have at most `most` rows where an index has `each`, and together are the whole."""
    split = len(sizes) - 1
    while split and each * sizes[split] <= most:
        each *= sizes[split]
        split -= 1
    ones = ([slice(k, k + 1) for k in range(size)] for size in sizes[:split])
    return product(*ones, even(sizes[split], most // each), *([slice(None)] for _ in sizes[split + 1 :]))


class WindowedProduct:
    """requant(sum over taps, in of weight[out, taps, in] * x[v * stride + taps * dilation - before, lead, in, trail]).

    Parameters
    ----------
    weight : float array, [out, kd, kh, kw, in]
        Of a type that holds every partial sum.
    window : Window
    lead, trail : int
        Channel modes before and behind those summed over.
    requant : FloatRequantizer
    edge : Edge
        Of the input.
    """

    def __init__(
        self, weight: NDArray, window: Window, lead: int, trail: int, requant: FloatRequantizer, edge: Edge
    ) -> None:
        self._window, self._requant = window, requant
        self._out, *self._kernel, self._in = weight.shape
        self._lead, self._trail = lead, trail
        self._weight = np.ascontiguousarray(weight.reshape(self._out, -1).T)
        self._positions = window.out_positions(edge.shape)

    def __call__(self, x: NDArray) -> NDArray:
        """int32 [N, D', H', W', lead * out * trail] of integers [N, D, H, W, lead * in * trail]."""
        (d, h, w), trail, dtype = self._positions, self._trail, self._weight.dtype
        summed, out = self._weight.shape
        found = np.empty((len(x), d, h, w, self._lead * out * trail), np.int32)
        each = w * self._lead * trail  # rows of the product, of a line of windows
        most = max(BLOCK_BYTES // (summed * dtype.itemsize + out * _RESULT_BYTES), LEAST_ROWS)
        rows = min(max(most, each), len(x) * d * h * each)
        all_inputs, all_sums = np.empty((rows, summed), dtype), np.empty((rows, out), dtype)
        work = self._requant.work(rows * out)
        for some in even(len(x), most // (d * h * each)):
            windows, results = self._windows(padded(x[some], self._window, 0, dtype)), found[some]
            for part in blocks(results.shape[:3], each, most):
                taken = windows[part]
                rows = taken.size // summed
                inputs, sums = all_inputs[:rows], all_sums[:rows]
                np.copyto(inputs.reshape(taken.shape), taken, casting="unsafe")
                np.matmul(inputs, self._weight, out=sums)
                if trail > 1:
                    sums = sums.reshape(-1, self._lead, trail, out).swapaxes(2, 3)
                self._requant(sums.reshape(-1, results.shape[4]), results[part], work)
        return found

    def _windows(self, x: NDArray) -> NDArray:
        """A view of padded inputs, [N, D', H', W', lead, trail, kd, kh, kw, in]."""
        strides, value = x.strides, x.itemsize
        modes = (self._in * self._trail * value, value)
        steps = (step * stride for step, stride in zip(strides[1:4], self._window.stride, strict=True))
        within = (step * dilation for step, dilation in zip(strides[1:4], self._window.dilation, strict=True))
        shape = (len(x), *self._positions, self._lead, self._trail, *self._kernel, self._in)
        return as_strided(x, shape, (strides[0], *steps, *modes, *within, self._trail * value), writeable=False)


class GroupedProduct:
    """requant(sum over taps, in of weight[group, out, taps, in] * x[v * stride + taps * dilation - before, group, in]).

    Parameters
    ----------
    weight : float array, [groups * out, kd, kh, kw, in]
        Of a type that holds every partial sum.
    window : Window
    groups : int
    requant : FloatRequantizer
    edge : Edge
        Of the input.
    """

    def __init__(self, weight: NDArray, window: Window, groups: int, requant: FloatRequantizer, edge: Edge) -> None:
        self._window, self._groups, self._requant = window, groups, requant
        self._in = weight.shape[4]
        grouped = weight.reshape(groups, -1, *weight.shape[1:])
        #: By tap, [groups, out, in].
        self._weights = {tap: np.ascontiguousarray(grouped[:, :, *tap]) for tap in np.ndindex(weight.shape[1:4])}
        self._positions = window.out_positions(edge.shape)
        self._channels = len(weight)

    def __call__(self, x: NDArray) -> NDArray:
        """int32 [N, D', H', W', groups * out] of integers [N, D, H, W, groups * in]."""
        total: NDArray | None = None
        dtype = next(iter(self._weights.values())).dtype
        for tap, taken in taps(x.astype(dtype), self._window, 0):
            part = self._products(taken.reshape(-1, self._groups, self._in), self._weights[tap])
            total = part if total is None else np.add(total, part, out=total)
        assert total is not None
        found = np.empty((len(x), *self._positions, self._channels), np.int32)
        sums = np.ascontiguousarray(total).reshape(-1, self._channels)
        self._requant(sums, found, self._requant.work(sums.size))
        return found

    def _products(self, x: NDArray, weight: NDArray) -> NDArray:
        """Of a tap's inputs [rows, groups, in] and its weights: [rows, groups, out]."""
        if self._in == 1:
            found: NDArray = x * weight[:, :, 0]
            return found
        return (x.transpose(1, 0, 2) @ weight.transpose(0, 2, 1)).transpose(1, 0, 2)
