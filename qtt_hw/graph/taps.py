"""The inputs that each tap of a window reads, over whole volumes: what the golden functions of windowed stages sum."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qtt_hw.window import Window

__all__ = ["padded", "taps"]


def padded(x: NDArray, window: Window, fill: int, dtype: DTypeLike) -> NDArray:
    """Inputs [N, D, H, W, C] in C order with the window's padding around them; as they are where there is none."""
    if not any(map(any, window.padding)):
        return np.ascontiguousarray(x)
    n, *sizes, channels = x.shape
    shape = [size + before + after for size, (before, after) in zip(sizes, window.padding, strict=True)]
    found = np.full((n, *shape, channels), fill, dtype)
    inside = (slice(before, before + size) for size, (before, _) in zip(sizes, window.padding, strict=True))
    found[(slice(None), *inside)] = x
    return found


def taps(x: NDArray, window: Window, fill: int) -> Iterator[tuple[tuple[int, int, int], NDArray]]:
    """Each kernel index (kd, kh, kw) with the inputs that it reads, [N, D', H', W', C], padding filled.

    Parameters
    ----------
    x : array, [N, D, H, W, C]
    window : Window
    fill : int
        What stands in the padding.
    """
    whole = padded(x, window, fill, x.dtype)
    out = window.out_positions((x.shape[1], x.shape[2], x.shape[3], x.shape[4]))
    kd, kh, kw = (range(k) for k in window.kernel)
    for tap in product(kd, kh, kw):
        starts = (k * dilation for k, dilation in zip(tap, window.dilation, strict=True))
        axes = tuple(slice(k, k + (n - 1) * s + 1, s) for k, n, s in zip(starts, out, window.stride, strict=True))
        yield tap, whole[(slice(None), *axes)]
