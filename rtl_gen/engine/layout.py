"""Where an engine keeps what: rings in its memories, weights and requantiser rows in its ROMs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rtl_gen.engine.jobs import Work

__all__ = ["Layout", "Ring"]


@dataclass(frozen=True)
class Ring:
    """Rows of a stage's input in a memory; a row lies in one piece, so that a run along W never wraps.

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
    """The memory map of an engine whose stages are a chain.

    Attributes
    ----------
    rings : tuple of Ring
        Of each stage's input: the first alone in the memory that the stream fills, the others one behind the other.
    weights : tuple of int
        The ROM word with which each stage's weights begin, and last their number.
    rows : tuple of int
        The same of the requantiser's rows.
    """

    rings: tuple[Ring, ...]
    weights: tuple[int, ...]
    rows: tuple[int, ...]

    @classmethod
    def of(cls, works: Sequence[Work], ring_rows: Sequence[int], pe: int, lanes: int) -> Layout:
        """Of stages whose input rings have so many rows each, with results of `pe` channels, requantised by `lanes`."""
        sizes = [rows * work.width * work.words for work, rows in zip(works, ring_rows, strict=True)]
        bases = [0, 0, *accumulate(sizes[1:])][: len(works)]
        rings = [
            Ring(base, rows, work.width, work.words) for base, rows, work in zip(bases, ring_rows, works, strict=True)
        ]
        weights = [work.groups * work.node.window.taps * work.words for work in works]
        rows = [work.groups * pe // lanes for work in works]
        return cls(tuple(rings), (0, *accumulate(weights)), (0, *accumulate(rows)))

    @property
    def depth(self) -> int:
        """Words of the memory of the rings that the engine itself fills."""
        return self.rings[-1].end if len(self.rings) > 1 else 0
