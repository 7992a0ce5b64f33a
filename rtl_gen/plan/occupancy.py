"""How much of the interval stages are busy, and how much of what their lanes could multiply is of use."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from rtl_gen.kinds import Spec

__all__ = ["busy", "occupancy"]


def busy(spec: Spec, interval: Fraction) -> Fraction:
    """The part of the mean interval in which a stage makes a step: its cycles / interval.

    `utilization` of a plan is that of its busiest stage. Of a stage that multiplies it equals the stage's `occupancy`,
    since no step of a contraction is spent on padding, but where axes are unfolded: there padding is multiplied too.
    """
    return spec.cycles / interval


def occupancy(specs: Sequence[Spec], interval: Fraction) -> Fraction | None:
    """Useful products of an inference / (lanes x interval), of one stage or of all together.

    Useful are the multiplications of an inference by inputs that exist, so padding is none; a lane forms one product
    a step, in a multiplier block, in LUTs, by shifting or of one bit alike: a contraction has simd x pe x carry. The
    interval is the exact mean of the prediction, in cycles. None where nothing multiplies.
    """
    lanes = sum(spec.products for spec in specs)
    useful = sum(spec.macs for spec in specs)
    return useful / (lanes * interval) if lanes else None
