"""Whether a board's FPGA can hold a design: its family, its multipliers and block RAMs, and roughly its LUTs."""

from __future__ import annotations

from pathlib import Path

from boards.board import Board
from qtt_hw.errors import named
from rtl_gen.families import device as find_device
from rtl_gen.host_link import beside_buffer
from rtl_gen.manifest import Manifest
from rtl_gen.plan.derive import design_brams
from rtl_gen.plan.plan import Plan

__all__ = ["check_holds"]

#: By what factor a plan's LUTs may be above what is placed.
ESTIMATE = 1.15


def check_holds(build: Path, board: Board, manifest: Manifest, plan: Plan) -> None:
    """Raise ValueError where a BUILD is of another family than a board, or larger, before anything is synthesised.

    A plan's multipliers and block RAMs are exact, but for the link's buffer, which takes what is left; its LUTs are an
    estimate, of which only what no placement could make up is refused.

    Parameters
    ----------
    build : Path
        For the message.
    board : Board
    manifest : Manifest
    plan : Plan
    """
    with named(build):
        manifest.sources.of(board.family)
    device, output = find_device(board.device), manifest.output
    link = beside_buffer(manifest.input.bits, output.bits, output.words, board.family)
    taken = (
        ("multipliers", plan.dsps, device.dsps),
        ("block RAMs", design_brams(plan) + link.brams, device.brams),
        ("LUTs", int(plan.luts / ESTIMATE), device.luts),
    )
    over = [f"{count} {what} of {there}" for what, count, there in taken if there is not None and count > there]
    if over:
        raise ValueError(f"{build}: takes {', '.join(over)} that {board.name} has; plan it for --device {device.name}")
