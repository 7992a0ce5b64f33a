"""Where an engine keeps what: rings in its memories, weights and requantiser rows in its ROMs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rtl_gen.engine.jobs import Work
from rtl_gen.engine.schedule import OUTSIDE

__all__ = ["Layout", "Ring"]


@dataclass(frozen=True)
class Ring:
    """Rows of a stream in a memory; a row lies in one piece, so that a run along W never wraps.

    Attributes
    ----------
    base : int
        Its first word.
    rows : int
    width, words : int
        Positions of a row, words of a position.
    """

    base: int
    rows: int
    width: int
    words: int

    @property
    def row_words(self) -> int:
        return self.width * self.words

    @property
    def size(self) -> int:
        return self.rows * self.row_words

    @property
    def end(self) -> int:
        """The word after its last."""
        return self.base + self.size

    def address(self, position: int) -> int:
        """Of a position's first word."""
        row, column = divmod(position, self.width)
        return self.base + row % self.rows * self.row_words + column * self.words


@dataclass(frozen=True)
class Layout:
    """The memory map of an engine.

    Attributes
    ----------
    rings : tuple of Ring
        Of the stream, alone in the memory that it fills; then of what each stage but the last makes, in one memory:
        first those that sums read, then the others.
    weights : tuple of int
        The ROM word with which each stage's weights begin, and last their number.
    rows : tuple of int
        The same of the requantiser's rows.
    summed : int
        Words of the memory of rings that sums read from.
    """

    rings: tuple[Ring, ...]
    weights: tuple[int, ...]
    rows: tuple[int, ...]
    summed: int = 0

    @classmethod
    def of(
        cls,
        works: Sequence[Work],
        ring_rows: Sequence[int],
        pe: int,
        lanes: int,
        summands: frozenset[int] = frozenset(),
    ) -> Layout:
        """Of stages whose rings have so many rows each, with results of `pe` channels, requantised by `lanes`.

        What the stages numbered `summands` make is read by sums.
        """
        first = works[0]
        rings = {OUTSIDE: Ring(0, ring_rows[0], first.width, first.words)}
        base = summed = 0
        stages = range(len(works) - 1)
        for stage in [k for k in stages if k in summands] + [k for k in stages if k not in summands]:
            work = works[stage]
            ring = Ring(base, ring_rows[stage + 1], work.geometry.out_shape[2], -(-work.node.out_size // work.simd))
            rings[stage] = ring
            base = ring.end
            summed = base if stage in summands else summed
        weights = [work.groups * work.node.window.taps * work.words for work in works]
        rows = [work.groups * pe // lanes for work in works]
        found = (rings[source] for source in range(OUTSIDE, len(works) - 1))
        return cls(tuple(found), (0, *accumulate(weights)), (0, *accumulate(rows)), summed)

    def ring(self, source: int) -> Ring:
        """Of what a stage makes, or of the stream."""
        return self.rings[source + 1]

    @property
    def depth(self) -> int:
        """Words of the memory of the rings that the engine itself fills."""
        return max((ring.end for ring in self.rings[1:]), default=0)
