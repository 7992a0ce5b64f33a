"""The geometry of a windowed stage: what each output position needs, may release and skips, as integers.

The hardware's constant tables, the ring's least size and the event model of cycles are all derived from this one
object. Positions are in raster order; addresses are ring words, `words` of them to a position. Tables over positions
are flat int64 arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from qtt_hw.fixedpoint import IntArray
from qtt_hw.window import AxisWindow, Shape, Window

__all__ = ["Geometry"]


Axes = tuple[AxisWindow, AxisWindow, AxisWindow]


def _strides(axes: Axes) -> tuple[int, int, int]:
    """Positions from one input to the next along D, H, W."""
    return axes[1].size * axes[2].size, axes[2].size, 1


def _frozen(table: IntArray) -> IntArray:
    """Flat and read-only: tables are shared."""
    flat = table.reshape(-1)
    flat.flags.writeable = False
    return flat


def _outer(d: Sequence[int], h: Sequence[int], w: Sequence[int]) -> tuple[IntArray, IntArray, IntArray]:
    """Values along D, H, W, shaped to be combined over all positions."""
    along_d, along_h, along_w = (np.array(values, dtype=np.int64) for values in (d, h, w))
    return along_d[:, None, None], along_h[:, None], along_w


@lru_cache(maxsize=256)
def _needs(axes: Axes) -> IntArray:
    """Input positions that must have arrived before each output position can start."""
    sd, sh, _ = _strides(axes)
    d, h, w = _outer(*([a.last(o) for o in range(a.out_size)] for a in axes))
    return _frozen(d * sd + h * sh + w + 1)


@lru_cache(maxsize=256)
def _keeps(axes: Axes) -> IntArray:
    """Oldest input position that this and every later output position of the volume still reads."""
    sd, sh, _ = _strides(axes)
    d, h, w = _outer(*([a.oldest(o) for o in range(a.out_size)] for a in axes))
    hold_d, hold_h, _ = _outer(*([_holds(a, o) for o in range(a.out_size)] for a in axes))
    return _frozen(d * sd + (1 - hold_d) * (h * sh + (1 - hold_h) * w))


@lru_cache(maxsize=256)
def _counts(axes: Axes) -> tuple[list[int], ...]:
    """Valid taps of each output, by axis."""
    return tuple([a.count(o) for o in range(a.out_size)] for a in axes)


@lru_cache(maxsize=256)
def _taps(axes: Axes) -> IntArray:
    d, h, w = _outer(*([a.count(o) for o in range(a.out_size)] for a in axes))
    return _frozen(d * h * w)


def _holds(axis: AxisWindow, o: int) -> bool:
    """Whether a later output on this axis reads the oldest input, too: then nothing inside it may be released."""
    return o + 1 < axis.out_size and axis.oldest(o + 1) == axis.oldest(o)


@lru_cache(maxsize=256)
def _least_positions(axes: Axes) -> int:
    return int((_needs(axes) - _keeps(axes)).max())


@dataclass(frozen=True)
class Geometry:
    """Windows over a stream of positions.

    Parameters
    ----------
    axes : three AxisWindow
        D, H, W.
    words : int
        Ring words of one input position: channels over parallel input lanes.
    """

    axes: Axes
    words: int

    @staticmethod
    def of(window: Window, shape: Shape, lanes: int) -> Geometry:
        return _geometry(window, shape, lanes)

    @property
    def strides(self) -> tuple[int, int, int]:
        """Ring words from one input position to the next along D, H, W."""
        _, h, w = self.axes
        return h.size * w.size * self.words, w.size * self.words, self.words

    @cached_property
    def tap_strides(self) -> tuple[int, int, int]:
        """Ring words from one tap to the next along D, H, W."""
        d, h, w = (axis.dilation * stride for axis, stride in zip(self.axes, self.strides, strict=True))
        return d, h, w

    @property
    def volume_words(self) -> int:
        return math.prod(a.size for a in self.axes) * self.words

    @property
    def out_shape(self) -> tuple[int, int, int]:
        d, h, w = (a.out_size for a in self.axes)
        return d, h, w

    @property
    def out_positions(self) -> int:
        return math.prod(self.out_shape)

    def holds(self, axis: int, o: int) -> bool:
        """Whether what output o + 1 and later ones on this axis read begins where that of o and later ones does."""
        return _holds(self.axes[axis], o)

    @cached_property
    def needs(self) -> IntArray:
        """Input words that must have arrived before each output position can start, counted from the volume's start."""
        return _needs(self.axes) * self.words

    @cached_property
    def keeps(self) -> IntArray:
        """Oldest input word that this and every later output position of the volume still reads."""
        return _keeps(self.axes) * self.words

    @cached_property
    def releases(self) -> IntArray:
        """Input words released once each output position has been read: what the next one keeps, all after the last."""
        return np.append(self.keeps[1:], self.volume_words)

    @property
    def taps(self) -> IntArray:
        """Valid taps of each output position."""
        return _taps(self.axes)

    @cached_property
    def total_taps(self) -> int:
        """Valid taps of all output positions."""
        return math.prod(sum(counts) for counts in _counts(self.axes))

    @cached_property
    def least_taps(self) -> int:
        """Valid taps of the output position that has fewest."""
        return math.prod(min(counts) for counts in _counts(self.axes))

    @cached_property
    def least_ring(self) -> int:
        """Ring words without which some window never fits; inputs that no window reads still pass through."""
        return self.words * max(1, _least_positions(self.axes))

    @cached_property
    def overrun(self) -> int:
        """Words by which a position's release can exceed what it needs: inputs that no window reads."""
        return int((self.releases - self.needs).max(initial=0))


@lru_cache(maxsize=1024)
def _geometry(window: Window, shape: Shape, lanes: int) -> Geometry:
    return Geometry(window.axes(shape), shape[3] // lanes)
