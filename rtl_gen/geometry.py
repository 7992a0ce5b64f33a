"""The geometry of a windowed stage: what each output position needs, may release and skips, as plain integers.

The hardware's constant tables, the ring's least size and the event model of cycles are all derived from this one
object. Positions are in raster order; addresses are ring words, `words` of them to a position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from qtt_hw.ir.graph import Shape, Window
from qtt_hw.ir.window import AxisWindow

__all__ = ["Geometry"]


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

    axes: tuple[AxisWindow, AxisWindow, AxisWindow]
    words: int

    @classmethod
    def of(cls, window: Window, shape: Shape, lanes: int) -> Geometry:
        return cls(window.axes(shape), shape[3] // lanes)

    @property
    def strides(self) -> tuple[int, int, int]:
        """Ring words from one input position to the next along D, H, W."""
        _, h, w = self.axes
        return h.size * w.size * self.words, w.size * self.words, self.words

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
        """Whether the next output on this axis starts at the same input: then nothing inside it may be released."""
        window = self.axes[axis]
        return o + 1 < window.out_size and window.first(o + 1) == window.first(o)

    @cached_property
    def needs(self) -> list[int]:
        """Input words that must have arrived before each output position can start, counted from the volume's start."""
        sd, sh, sw = self.strides
        d, h, w = ([a.last(o) for o in range(a.out_size)] for a in self.axes)
        return [i * sd + j * sh + k * sw + self.words for i in d for j in h for k in w]

    @cached_property
    def keeps(self) -> list[int]:
        """Oldest input word that this and every later output position of the volume still reads."""
        sd, sh, sw = self.strides
        d, h, w = self.axes
        oldest = []
        for i in range(d.out_size):
            for j in range(h.out_size):
                row = d.first(i) * sd
                hold_plane = self.holds(0, i)
                if not hold_plane:
                    row += h.first(j) * sh
                hold_row = hold_plane or self.holds(1, j)
                oldest += [row + (0 if hold_row else w.first(k) * sw) for k in range(w.out_size)]
        return oldest

    @cached_property
    def releases(self) -> list[int]:
        """Input words released once each output position has been read: what the next one keeps, all after the last."""
        return [*self.keeps[1:], self.volume_words]

    @cached_property
    def taps(self) -> list[int]:
        """Valid taps of each output position."""
        d, h, w = ([a.count(o) for o in range(a.out_size)] for a in self.axes)
        return [i * j * k for i in d for j in h for k in w]

    @cached_property
    def least_ring(self) -> int:
        """Ring words without which some window never fits; inputs that no window reads still pass through."""
        span = max(need - keep for need, keep in zip(self.needs, self.keeps, strict=True))
        return max(span, self.words)
