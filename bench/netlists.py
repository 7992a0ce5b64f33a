"""Netlists of committed models, of every family, on real objects: equal to the golden model at every tap.

    python -m bench.netlists -o results/netlists.json
    python -m bench.netlists gw1nr-9c --samples 10
    python -m bench.netlists up5k --placed

A design is planned as `bench.boards` plans it (the generic one for 50 frames a second) and synthesised for its family,
and the netlist is simulated with yosys' models of that family's cells in place of the Verilog. With `--placed` it is
the board's whole design behind place and route, over its line, where there are models of the placer's cells.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boards
from bench.boards import CASES, MODELS, Case
from bench.report import command
from bench.rows import append_row, made_by
from boards.build import build
from qtt_hw.evaluation import samples_of
from qtt_hw.flow import cosim, emit
from qtt_hw.graph.file import digest_of, load
from qtt_hw.graph.preprocess import preprocess
from qtt_hw.planning import plan
from qtt_hw.process import run_command
from rtl_gen.families import device, family_of
from rtl_gen.manifest import Manifest
from rtl_gen.prediction import number_of
from sim.netlist import netlist_build
from sim.on_board import simulate_board

__all__ = ["NETLISTS", "simulated"]

DATA = "modelnet10"
#: By device; the family that no package places is synthesised for Xilinx 7.
NETLISTS = {
    "ecp5-85f": CASES["ulx3s-85f"],
    "up5k": CASES["icebreaker"],
    "gw1nr-9c": CASES["tang-nano-9k"],
    "gw2ar-18c": CASES["tang-nano-20k"],
    "generic": Case("voxtt-modelnet10.qtt", 50, 100),
}


def simulated(name: str, case: Case, samples: int, placed: bool) -> dict[str, Any]:
    """The row of a device."""
    file = MODELS / case.model
    chosen = plan(load(file), name, fps=case.fps, clock_mhz=case.clock_mhz, engines=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="netlists-") as temporary:
        folder = Path(temporary)
        emit(file, folder / "build", chosen, taps=not placed)
        found = _placed(folder / "build", name, samples) if placed else _synthesised(folder, samples)
    return {
        "device": name,
        "family": family_of(device(name)).name,
        "netlist": "placed" if placed else "synthesised",
        "model": file.name,
        "digest": digest_of(file),
        "fps_planned": case.fps,
        "engines": True,
        **found,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _synthesised(folder: Path, samples: int) -> dict[str, Any]:
    netlist = netlist_build(folder / "build", folder / "netlist")
    found = cosim(netlist, DATA, samples)
    return {
        "samples": found.samples,
        "taps": len(Manifest.load(netlist).taps),
        "equal": found.equal,
        "cycles": None if found.cycles is None else number_of(found.cycles),
        "cycles_as_predicted": found.cycles_equal,
    }


def _placed(folder: Path, name: str, samples: int) -> dict[str, Any]:
    board = next(board for board in map(boards.load, CASES) if board.device == name)
    built = build(folder, board, fit_clock=True)
    graph = load(folder / Manifest.load(folder).model)
    x = preprocess(graph.input, samples_of(graph, DATA, "test")["test"].x[:samples])
    found = simulate_board(folder, board, x, placed=True, timeout=600)
    return {
        "board": board.name,
        "clock_mhz": built.clock_mhz,
        "samples": found.samples,
        "equal": found.equal,
        "cycles": None if found.cycles is None else number_of(found.cycles),
        "cycles_as_predicted": found.cycles_equal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.netlists", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help=f"of {', '.join(NETLISTS)}; all when left out")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--placed", action="store_true", help="what place and route makes, of devices named")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.devices if name not in NETLISTS]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such case; there are {', '.join(NETLISTS)}")
    names = given.devices or list(NETLISTS)
    if given.placed:
        can = [name for name in NETLISTS if (placing := family_of(device(name)).placing) and placing.simulated]
        other = next((name for name in given.devices if name not in can), None)
        if other is not None:
            raise ValueError(
                f"--placed: of what the placer of {other} makes there are no models here; of {', '.join(can)} there are"
            )
        names = given.devices or can
    for name in names:
        row = simulated(name, NETLISTS[name], given.samples, given.placed) | made_by(command(given.output))
        if given.output is not None:
            append_row(given.output, row, ("device", "model", "netlist"))
        print(json.dumps(row, indent=1), flush=True)


if __name__ == "__main__":
    sys.exit(run_command("bench.netlists", main, whole=True))
