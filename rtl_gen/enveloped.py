"""A requantiser in hardware that has room for other numbers of the same stage."""

from __future__ import annotations

from dataclasses import dataclass

from qtt_hw.fixedpoint import Requantizer

__all__ = ["Enveloped", "b_range", "m_range"]

Range = tuple[int, int]


@dataclass(frozen=True)
class Enveloped(Requantizer):
    """The same function, in hardware that holds any m and b of the ranges.

    Parameters
    ----------
    m, b : (int, int)
        Least and greatest.
    scale : int, optional
        k where all m are 2**k and stay it, which takes no multiplier.
    """

    m: Range = (0, 0)
    b: Range = (0, 0)
    scale: int | None = None

    __hash__ = Requantizer.__hash__

    def product_range(self, low: int, high: int) -> Range:
        half = 1 << (self.shift - 1) if self.shift > 0 else 0
        ends = [acc * m + b + half for m in self.m for b in self.b for acc in (low, high)]
        return min(*ends, 0), max(*ends, 0)


def m_range(requant: Requantizer) -> Range:
    """Least and greatest m that the hardware of an affine requantiser holds."""
    assert requant.multiplier is not None
    return requant.m if isinstance(requant, Enveloped) else (min(requant.multiplier), max(requant.multiplier))


def b_range(requant: Requantizer) -> Range:
    """Least and greatest b, without the rounding term."""
    assert requant.offset is not None
    return requant.b if isinstance(requant, Enveloped) else (min(requant.offset), max(requant.offset))
