"""Synthesised netlists of committed models, of every family, on real objects: equal to the golden model at every tap.

    python -m bench.netlists -o results/netlists.json
    python -m bench.netlists gw1nr-9c --samples 10

A design is planned as `bench.boards` plans it, synthesised for its family, and the netlist is simulated with yosys'
models of that family's cells in place of the Verilog.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.boards import CASES, MODELS, Case
from bench.report import command
from bench.rows import append_row, made_by
from qtt_hw.flow import cosim, emit
from qtt_hw.graph.file import digest_of, load
from qtt_hw.planning import plan
from qtt_hw.process import run_command
from rtl_gen.families import device, family_of
from rtl_gen.manifest import Manifest
from rtl_gen.prediction import number_of
from sim.netlist import netlist_build

__all__ = ["NETLISTS", "simulated"]

DATA = "modelnet10"
#: By device; the family that no package places is synthesised for Xilinx 7.
NETLISTS = {
    "ecp5-85f": CASES["ulx3s-85f"],
    "up5k": CASES["icebreaker"],
    "gw1nr-9c": CASES["tang-nano-9k"],
    "gw2ar-18c": CASES["tang-nano-20k"],
    "generic": Case("voxtt-modelnet10.qtt", 50, 100, engines=True),
}


def simulated(name: str, case: Case, samples: int) -> dict[str, Any]:
    """The row of a device."""
    if case.model is None:
        raise ValueError(f"{name}: has no committed model")
    file = MODELS / case.model
    chosen = plan(load(file), name, fps=case.fps, clock_mhz=case.clock_mhz, engines=case.engines)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="netlists-") as temporary:
        folder = Path(temporary)
        emit(file, folder / "build", chosen, taps=True)
        netlist = netlist_build(folder / "build", folder / "netlist")
        found = cosim(netlist, DATA, samples)
        taps = len(Manifest.load(netlist).taps)
    return {
        "device": name,
        "family": family_of(device(name)).name,
        "model": file.name,
        "digest": digest_of(file),
        "fps_planned": case.fps,
        "engines": case.engines,
        "samples": found.samples,
        "taps": taps,
        "equal": found.equal,
        "cycles": None if found.cycles is None else number_of(found.cycles),
        "cycles_as_predicted": found.cycles_equal,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.netlists", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help=f"of {', '.join(NETLISTS)}; all when left out")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.devices if name not in NETLISTS]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such case; there are {', '.join(NETLISTS)}")
    for name in given.devices or NETLISTS:
        row = simulated(name, NETLISTS[name], given.samples) | made_by(command(given.output))
        if given.output is not None:
            append_row(given.output, row, ("device", "model"))
        print(json.dumps(row, indent=1), flush=True)


if __name__ == "__main__":
    sys.exit(run_command("bench.netlists", main, whole=True))
