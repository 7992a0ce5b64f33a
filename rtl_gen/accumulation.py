"""Pools whose windows do not overlap: which window each input word belongs to, and which windows are open at once.

Such a pool needs no ring of inputs. A word adds to the one window that it belongs to, in a memory of the windows that
have begun and not ended; the window's last word completes its result. Everything here is tables per axis over the
input positions, derived from the windows; the hardware and the event model of cycles read them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qtt_hw.window import AxisWindow
from rtl_gen.geometry import Geometry

__all__ = ["Accumulation", "Place", "accumulate_latency", "are_disjoint"]


def accumulate_latency(read_latency: int) -> int:
    """Cycles from a window's last word, when it is accepted, to its sum or maximum: a read, then the addition."""
    return read_latency + 1


def are_disjoint(axes: tuple[AxisWindow, AxisWindow, AxisWindow]) -> bool:
    """Whether no input belongs to two windows, as where the kernel is at most the stride, or the window is the map."""
    return all(a.last(o) < a.first(o + 1) for a in axes for o in range(a.out_size - 1))


@dataclass(frozen=True)
class Place:
    """Where an input position lies on an axis.

    Attributes
    ----------
    inside : bool
        In a window; between windows and behind the last one it is dropped.
    first, last : bool
        Its window's first, its window's last input on the axis.
    offset : int
        What the window's index on this axis adds to the address of its accumulator.
    row : int
        What the window's number of taps on this axis adds to the row of an average.
    """

    inside: bool
    first: bool
    last: bool
    offset: int
    row: int


@dataclass(frozen=True)
class Accumulation:
    """Windows that do not overlap, over a stream of positions in raster order.

    Parameters
    ----------
    geometry : Geometry
        Its `words` are the channel words of a position.

    Raises
    ------
    ValueError
        When windows overlap.
    """

    geometry: Geometry

    def __post_init__(self) -> None:
        if not are_disjoint(self.geometry.axes):
            kernel, stride = ([getattr(a, name) for a in self.geometry.axes] for name in ("kernel", "stride"))
            raise ValueError(f"windows of {kernel} overlap at strides of {stride}")

    @cached_property
    def _extents(self) -> tuple[int, int]:
        """Windows along H and W that are open at once."""
        taps_d, taps_h, _ = (max(a.count(o) for o in range(a.out_size)) for a in self.geometry.axes)
        _, out_h, out_w = self.geometry.out_shape
        return out_h if taps_d > 1 else 1, out_w if max(taps_d, taps_h) > 1 else 1

    @property
    def depth(self) -> int:
        """Words of the memory of open windows; 0 when every window is a single position."""
        return 0 if self.geometry.total_taps == self.geometry.out_positions else self._open_words

    @property
    def _open_words(self) -> int:
        return math.prod(self._extents) * self.geometry.words

    def _classes(self, axis: int) -> list[int]:
        """Distinct tap counts on an axis, descending."""
        window = self.geometry.axes[axis]
        return sorted({window.count(o) for o in range(window.out_size)}, reverse=True)

    @property
    def row_counts(self) -> list[int]:
        """Valid taps of each row of an average: a row is (D class, H class, W class)."""
        d, h, w = (self._classes(axis) for axis in range(3))
        return [i * j * k for i in d for j in h for k in w]

    @cached_property
    def places(self) -> tuple[tuple[Place, ...], ...]:
        """The Place of every input position on its axis, for D, H and W."""
        open_h, open_w = self._extents
        words = self.geometry.words
        offsets = (0, open_w * words if open_h > 1 else 0, words if open_w > 1 else 0)
        classes = [self._classes(axis) for axis in range(3)]
        rows = (len(classes[1]) * len(classes[2]), len(classes[2]), 1)
        by_axis = []
        for window, offset, counts, row in zip(self.geometry.axes, offsets, classes, rows, strict=True):
            places = []
            firsts = [window.first(o) for o in range(window.out_size)]
            for x in range(window.size):
                o = bisect_right(firsts, x) - 1
                places.append(
                    Place(
                        inside=window.first(o) <= x <= window.last(o),
                        first=x == window.first(o),
                        last=x == window.last(o),
                        offset=o * offset,
                        row=counts.index(window.count(o)) * row,
                    )
                )
            by_axis.append(tuple(places))
        return tuple(by_axis)

    def cycles(self, result_words: int) -> int:
        """Least number of cycles between two inferences: a word a cycle, and results `result_words` cycles apart.

        A position's channel words complete results in consecutive cycles.
        """
        ends = self.geometry.needs
        gaps = np.diff(ends, append=ends[0] + self.geometry.volume_words) - self.geometry.words + 1
        within = self.geometry.out_positions * (self.geometry.words - 1) * result_words
        return within + int(np.maximum(gaps, result_words).sum())
