"""Cells counted as what a plan counts: multipliers, block RAMs, LUTs and flip-flops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from rtl_gen.families.resources import Resources

__all__ = ["KINDS", "Counting", "Fit"]

#: What is counted, and what it is called in errors.
KINDS = {"dsps": "multipliers", "brams": "block RAMs", "luts": "LUTs", "ffs": "flip-flops"}


@dataclass(frozen=True)
class Counting:
    """How many of a kind a cell is, by the cell's type; a cell that no kind has is not counted.

    Parameters
    ----------
    dsps, brams, luts, ffs : mapping of str to number
        Half a multiplier is a fraction.
    """

    dsps: Mapping[str, float] = field(default_factory=dict)
    brams: Mapping[str, float] = field(default_factory=dict)
    luts: Mapping[str, float] = field(default_factory=dict)
    ffs: Mapping[str, float] = field(default_factory=dict)

    def of(self, cells: Mapping[str, int]) -> Resources:
        """What these cells are, each kind rounded up."""
        sums = {
            kind: sum(Fraction(each) * cells.get(cell, 0) for cell, each in getattr(self, kind).items())
            for kind in KINDS
        }
        return Resources(**{kind: -int(-total // 1) for kind, total in sums.items()})

    @property
    def names(self) -> dict[str, str]:
        """What each cell is called in errors."""
        return {cell: name for kind, name in KINDS.items() for cell in getattr(self, kind)}


@dataclass(frozen=True)
class Fit:
    """LUTs and flip-flops of a family beside what `rtl_gen.costs` counts, which is an ECP5's.

    Fitted to whole netlists; `python -m bench.costs` prints both.

    Parameters
    ----------
    luts, ffs : float
        LUTs for a LUT, flip-flops for a flip-flop.
    luts_of_ffs : float
        LUTs for a flip-flop: its part in cells that hold a LUT and a flip-flop, where those do not meet.
    """

    luts: float = 1.0
    ffs: float = 1.0
    luts_of_ffs: float = 0.0

    def of(self, counted: Resources) -> Resources:
        """The family's own."""
        if self == Fit():
            return counted
        luts = round(self.luts * counted.luts + self.luts_of_ffs * counted.ffs)
        return replace(counted, luts=luts, ffs=round(self.ffs * counted.ffs))
