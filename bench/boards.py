"""Bitstreams for the boards that are known: what was planned beside what was placed, clock and inferences a second.

    python -m bench.boards -o results/boards.json
    python -m bench.boards tang-nano-9k icebreaker --model mine.qtt --fps 10

Each row is a model on a board, by default the committed one that `CASES` names. The clock is the one that place and
route reached: it is set and confirmed. Multipliers and block RAMs are counted apart from the board's link.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boards
from bench.report import command
from bench.rows import append_row, made_by
from boards.build import build
from boards.critical import DESIGN
from boards.synthesis import NETLIST
from boards.top import TOP
from qtt_hw.graph.file import load
from qtt_hw.process import run_command
from rtl_gen.emit import emit
from rtl_gen.families import Family, device
from rtl_gen.plan.derive import design_brams
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.search import plan

__all__ = ["CASES", "Case", "measured"]

MODELS = Path("models")


@dataclass(frozen=True)
class Case:
    """What is built for a board: a file in `models/`, and the rate that is planned for, at a clock, with engines."""

    model: str
    fps: float
    clock_mhz: float


CASES = {
    "ulx3s-85f": Case("voxtt-modelnet10.qtt", 2500, 100),
    "ulx3s-45f": Case("voxtt-modelnet10.qtt", 2500, 100),
    "ulx3s-25f": Case("voxtt-modelnet10.qtt", 2000, 100),
    "ulx3s-12f": Case("voxtt-modelnet10.qtt", 1200, 100),
    "orangecrab": Case("voxtt-modelnet10.qtt", 2000, 96),
    "colorlight-i5": Case("voxtt-modelnet10.qtt", 2000, 100),
    "icebreaker": Case("voxtt-small.qtt", 100, 24),
    "upduino3": Case("voxtt-small.qtt", 100, 24),
    "tang-nano-9k": Case("voxtt-modelnet10.qtt", 80, 54),
    "tang-nano-20k": Case("voxtt-modelnet10.qtt", 300, 54),
}


def blocks(netlist: Path, family: Family) -> dict[str, int]:
    """Multipliers and block RAMs of the accelerator, by their cells' names: those of the link are not of the plan."""
    cells: dict[str, int] = {}
    for name, cell in json.loads(netlist.read_text(encoding="utf-8"))["modules"][TOP]["cells"].items():
        if name.startswith(DESIGN):
            cells[cell["type"]] = cells.get(cell["type"], 0) + 1
    counted = family.counted(cells)
    return {"dsps": counted.dsps, "brams": counted.brams}


def planned_blocks(found: Plan) -> dict[str, int]:
    """What a plan says of the accelerator alone; a link has no multipliers."""
    return {"dsps": found.dsps, "brams": design_brams(found)}


def measured(name: str, case: Case, seeds: int = 1) -> dict[str, Any]:
    """The row of a board."""
    board = boards.load(name)
    graph = load(MODELS / case.model)
    chip = device(board.device)
    found = plan(graph, chip, fps=case.fps, clock_mhz=case.clock_mhz, engines=True)
    with tempfile.TemporaryDirectory(prefix="boards-") as temporary:
        folder = Path(temporary) / "build"
        emit(graph, folder, found)
        built = build(folder, board, fit_clock=True, seeds=seeds)
        bitstream = Path(built.bitstream)
        placed = blocks(bitstream.parent / NETLIST, board.family)
        size = bitstream.stat().st_size
    planned = planned_blocks(found)
    total = {"luts": built.luts, "ffs": built.ffs, "dsps": built.dsps, "brams": built.brams}
    return {
        "board": name,
        "device": board.device,
        "model": graph.name,
        "fps_planned": case.fps,
        "engines": True,
        "planned": planned | {"luts": found.luts, "ffs": found.ffs},
        "placed": placed | {"luts": built.luts, "ffs": built.ffs},
        "luts_placed_to_planned": round(built.luts / found.luts, 3),
        "blocks_as_planned": placed == planned,
        "utilization": {kind: round(count / getattr(chip, kind), 3) for kind, count in total.items()},
        "clock_mhz": built.clock_mhz,
        "fmax_mhz": built.fmax_mhz,
        "meets_timing": built.meets_timing,
        "cycles": float(found.cycles),
        "inferences_per_second": round(built.clock_mhz * 1e6 / float(found.cycles), 1),
        "seeds": built.seeds.model_dump(mode="json"),
        "bitstream_bytes": size,
        "seconds": built.seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.boards", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("boards", nargs="*", metavar="BOARD", help=f"of {', '.join(CASES)}; all when left out")
    parser.add_argument("--model", type=Path, help="model.qtt in place of each board's own")
    parser.add_argument("--fps", type=float, help="the rate that is planned for, in place of each board's own")
    parser.add_argument("--seeds", type=int, default=1, help="of the placer, from 1 on")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.boards if name not in CASES]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such board; there are {', '.join(CASES)}")
    for name in given.boards or CASES:
        case = CASES[name]
        if given.model is not None:
            case = replace(case, model=str(given.model.resolve()))
        if given.fps is not None:
            case = replace(case, fps=given.fps)
        row = measured(name, case, given.seeds) | made_by(command(given.output))
        if given.output is not None:
            append_row(given.output, row, ("board", "model"))
        print(json.dumps(row, indent=1), flush=True)


if __name__ == "__main__":
    sys.exit(run_command("bench.boards", main, whole=True))
