"""Stages that read one stream and gather narrow words by themselves: what `RingUnit` and `RowPool` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

if TYPE_CHECKING:
    from rtl_gen.kinds.windowed import WindowSpec

__all__ = ["GatheringUnit"]


class GatheringUnit(wiring.Component):
    """A stage of a window as a stream component.

    Parameters
    ----------
    spec : WindowSpec
    in_lanes : int
        Values in an input word; divides the stage's `in_width`.

    Members
    -------
    i0 : In(stream)
        `in_lanes` values of the input format, the lowest channel in the low bits.
    o : Out(stream)
        `spec.folding.lanes` values of the output format.
    """

    def __init__(self, spec: WindowSpec, in_lanes: int):
        if spec.in_width % in_lanes:
            raise ValueError(
                f"stage {spec.node.name}: words of {in_lanes} values cannot be gathered to words of {spec.in_width}"
            )
        self.spec, self.in_lanes = spec, in_lanes
        super().__init__(
            {
                "i0": In(stream.Signature(unsigned(in_lanes * spec.x.format.bits))),
                "o": Out(stream.Signature(unsigned(spec.folding.lanes * spec.out.format.bits))),
            }
        )
