"""The free choices of an engine, and what its unit is called."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from rtl_gen.kinds.spec import Count
from rtl_gen.multiplier import LaneKind

__all__ = ["EngineFolding", "engine_name"]


class EngineFolding(BaseModel):
    """The free choices of an engine.

    Attributes
    ----------
    simd, pe : int
        Lanes: parallel inputs of a sum, parallel results.
    lanes : int
        Requantiser's; divides simd and pe.
    rows : tuple of int
        Rows of rings: of that which the stream fills, a divisor of all its rows; then of what each contraction but the
        last makes, or the sum behind it, whoever reads it. Sums have no ring of their own.
    queue : int
        Words of `lanes` outputs that the output queue holds.
    multiplier : "dsp", "packed", "dual", "logic" or "shift"
        The last where weights are codes of a codebook.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    simd: Count
    pe: Count
    lanes: Count
    rows: tuple[Count, ...]
    queue: Count
    multiplier: LaneKind = "dsp"


def engine_name(stages: Sequence[str]) -> str:
    """What the unit of an engine with these stages is called."""
    return f"{stages[0]}.engine"
