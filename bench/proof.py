"""A trained model as hardware: planned, proven on real samples, synthesised; beside it the same plan with multipliers.

    python -m bench.proof model.qtt --data mnist --fps 1000 --lanes dsp --lanes logic -o results/proof.json

The RTL is compared with the golden model at every stage's output: in the batch harness on the first test samples, in
runs of up to 128 back to back, in cocotb with random stalls on both sides. Each call adds a row, in place of the one of
the same model, device, rate and whether engines are allowed. A row has the digest of the design's Verilog, `rtl`: where
the file has the same design, proven with the same versions, only what the plan says of it is renewed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report import command, figures
from bench.rows import append_row, commit, made_by, rows_of
from boards.synthesis import synthesise
from qtt_hw.flow import cosim, emit
from qtt_hw.graph import Graph
from qtt_hw.graph.file import digest_of, load
from qtt_hw.planning import plan
from qtt_hw.process import run_command
from qtt_hw.training.result import versions
from rtl_gen.emit import TOP
from rtl_gen.families import family_named
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.lanes import CODE_LANES, with_lanes
from rtl_gen.plan.plan import Plan
from rtl_gen.prediction import number_of

#: Part of the name of every cell of a requantiser.
REQUANTIZER = ".requantizer."
#: What tells a row from another.
KEY = ("model", "device", "fps", "engines")
#: Of an ECP5's netlist: what rows call the cells that are counted, and the cells' types.
CELLS = {
    "luts": "LUT4",
    "carries": "CCU2C",
    "lut_rams": "TRELLIS_DPR16X4",
    "ffs": "TRELLIS_FF",
    "brams": "DP16KD",
}


def simulated(build: Path, data: str, samples: int, stalls: bool) -> dict[str, Any]:
    """Equal or not: without stalls in the batch harness, with the cycles; with stalls in cocotb."""
    found = cosim(build, data, samples, engine="cocotb" if stalls else "verilator", stalls=stalls)
    row: dict[str, Any] = {"samples": found.samples, "runs": found.runs, "equal": found.equal}
    if not stalls:
        cycles = None if found.cycles is None else number_of(found.cycles)
        row |= {"cycles": cycles, "intervals": list(found.intervals), "latency": found.latency}
        row["cycles_as_predicted"] = found.cycles_equal
    return row | {"seconds": round(found.seconds, 1)}


def rtl_digest(graph: Graph, chosen: Plan) -> str:
    """Of the design's Verilog, without taps."""
    with tempfile.TemporaryDirectory() as name:
        emit(graph, Path(name) / "plain", chosen)
        return hashlib.sha256((Path(name) / "plain" / "design.v").read_bytes()).hexdigest()


def renewed(known: Sequence[Mapping[str, Any]], row: Mapping[str, Any], samples: int, stalled: int) -> dict[str, Any]:
    """The row of the same design that was proven on as many samples with today's versions, with what the plan says now;
    empty where there is none. What was proven stays that of the row's commit.
    """
    for old in known:
        same = all(old.get(name) == row[name] for name in (*KEY, "digest", "rtl")) and old.get("versions") == versions()
        parts = [old.get(part, {}) for part in ("batch", "stalled")]
        counts = [part.get("samples", 0) if part.get("equal") else 0 for part in parts]
        if same and counts[0] >= samples and counts[1] >= stalled and parts[0].get("cycles_as_predicted"):
            return {**old, "plan": row["plan"], "planned": commit()}
    return {}


def synthesised(graph: Graph, chosen: Plan, folder: Path) -> dict[str, Any]:
    """Cells of the accelerator alone, the multipliers of requantisers apart."""
    manifest = emit(graph, folder / "plain", chosen)
    work = folder / "synthesis"
    work.mkdir()
    family = family_named(chosen.family)
    sources = [folder / "plain" / name for name in manifest.sources.of(family)]
    cells = synthesise(sources, TOP, work, family)
    netlist = json.loads((work / "netlist.json").read_text(encoding="utf-8"))["modules"][TOP]["cells"]
    dsps = [name for name, cell in netlist.items() if cell["type"] == "MULT18X18D"]
    lanes = sum(REQUANTIZER not in name for name in dsps)
    return {name: cells.get(cell, 0) for name, cell in CELLS.items()} | {"dsps": len(dsps), "dsps_of_lanes": lanes}


def proven(
    model: Path,
    data: str,
    device: str,
    fps: float | None,
    samples: int,
    stalled: int,
    lanes: list[LaneKind],
    engines: bool,
    known: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The row: the plan, what was compared, and the cells by what forms the products; or a known one, renewed.

    With lanes beside the planned ones all is done anew.
    """
    graph = load(model)
    chosen = plan(graph, device, fps=fps, engines=engines)
    row = {
        "model": graph.name,
        "digest": digest_of(model),
        "weight_bytes": graph.weight_bytes,
        "device": device,
        "fps": fps,
        "engines": engines or None,
        "rtl": rtl_digest(graph, chosen),
        "plan": figures(chosen),
    }
    old = {} if lanes else renewed(known, row, samples, stalled)
    if old:
        return old
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        emit(graph, folder / "build", chosen, taps=True)
        row["batch"] = simulated(folder / "build", data, samples, stalls=False)
        if stalled:
            row["stalled"] = simulated(folder / "build", data, stalled, stalls=True)
        cells = {"as planned": synthesised(graph, chosen, folder)}
    for kind in lanes:
        # They may take more multipliers than the device has.
        other = with_lanes(graph, chosen.model_copy(update={"device": "none"}), kind)
        with tempfile.TemporaryDirectory() as name:
            cells[f"lanes of {kind}"] = synthesised(graph, other, Path(name)) | {"planned": figures(other)}
    return row | {"cells": cells}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.proof", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="model.qtt")
    parser.add_argument("--data", required=True)
    parser.add_argument("--device", default="ecp5-85f")
    parser.add_argument("--fps", type=float, help="the least hardware for this rate at 100 MHz, not the fastest")
    parser.add_argument("--engines", action="store_true", help="runs of stages may share an array")
    parser.add_argument("--samples", type=int, default=100, help="in the batch harness")
    parser.add_argument("--stalled", type=int, default=3, help="samples in cocotb with random stalls")
    parser.add_argument("--lanes", action="append", default=[], choices=CODE_LANES, help="to synthesise as well")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    options = given.samples, given.stalled, given.lanes, given.engines, rows_of(given.output)
    row = proven(given.model, given.data, given.device, given.fps, *options)
    if "command" not in row:
        row |= made_by(command(given.output))
    append_row(given.output, row, KEY)
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    sys.exit(run_command("bench.proof", main, whole=True))
