"""Stages and committed networks as placed hardware: cycles, occupancy, cells, and the clock over several seeds.

    python -m bench.datapath -o results/datapath.json
    python -m bench.datapath W1 W2 W3 --seeds 3 -o results/datapath.json

A workload is simulated first: equal to the golden model at every stage's output, in the predicted cycles; only then
is it synthesised and placed, out of context, on an ECP5-85F of speed 6. Of W1 to W3, one stage each, the module is
placed alone; the head that ends their network is simulated with it. A committed model is placed whole, as planned.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import command
from bench.rows import append_row, commit
from boards.build import counts
from boards.place import Placement, Placer, place
from boards.synthesis import synthesise
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec
from qtt_hw.graph.file import load
from qtt_hw.process import run_command
from qtt_hw.window import Window
from rtl_gen.emit import TOP, emit
from rtl_gen.families import Family, device, family_of
from rtl_gen.kinds import Folding, kind_of
from rtl_gen.plan.derive import derived
from rtl_gen.plan.plan import Plan, stage_specs
from rtl_gen.plan.search import plan
from rtl_gen.prediction import number_of
from sim.cosim import cosim

#: What is placed: nextpnr is asked for this clock, which makes it try as hard at 150 MHz as at 200.
DEVICE, AIM_MHZ = "ecp5-85f", 250
#: Of the stages that W1 to W3 measure.
STAGE = "stage"
BYTES, WEIGHTS, LOGITS = Format(8, True, 4), Format(8, True, 6, narrow=True), Format(16, True, 0)


@dataclass(frozen=True)
class Workload:
    """A network, its plan, and what of it is placed.

    Parameters
    ----------
    planned : callable
        The graph and the plan.
    module : str
        Of the emitted Verilog.
    samples : int
        Simulated before anything is placed.
    placer : "heap" or "static"
    """

    planned: Callable[[], tuple[Graph, Plan]]
    module: str = TOP
    samples: int = 4
    placer: Placer = "heap"


def _stage(shape: tuple[int, int, int, int], made: int, window: Window, simd: int, pe: int) -> tuple[Graph, Plan]:
    """A contraction of bytes with batch norm and ReLU on simd x pe lanes, and behind it two logits over its map."""
    rng = np.random.default_rng(0)

    def contraction(name: str, source: str, x: Edge, made: int, window: Window, requant: Requantizer) -> Contraction:
        weight = as_integers(rng.integers(WEIGHTS.minimum, WEIGHTS.maximum + 1, (made, *window.kernel, x.channels)))
        return Contraction(name, (source,), name, window, weight, WEIGHTS, requant)

    m = tuple(int(v) for v in rng.integers(9000, 30000, made))
    b = tuple(int(v) for v in rng.integers(-(1 << 24), 1 << 25, made))
    first = Edge(shape, BYTES)
    stage = contraction(STAGE, INPUT, first, made, window, Requantizer(Format(8, False, 4), 21, m, b))
    middle = stage.output(first)
    head = contraction("head", STAGE, middle, 2, Window(middle.shape[:3]), Requantizer(LOGITS, 6))
    graph = Graph("datapath", InputSpec(first, shape), (stage, head))
    family = family_of(device(DEVICE))
    foldings = [
        (STAGE, _folding(stage, first, simd, pe, family)),
        ("head", _folding(head, middle, middle.channels, 1, family)),
    ]
    return graph, derived(graph, stage_specs(graph, foldings, family), DEVICE, 100.0)


def _folding(node: Contraction, x: Edge, simd: int, pe: int, family: Family) -> Folding:
    """The planner's folding of simd x pe multipliers that is slowed least by its buffer, and then the cheapest."""
    choices = kind_of(node).choices(node, (x,), (x.channels,), family).of(simd, frozenset((1,)))
    found = [choice for choice in choices if choice.folding.pe == pe and choice.folding.multiplier == "dsp"]
    return min(found, key=lambda choice: (choice.cycles, choice.resources.luts)).folding


def _committed(path: str, fps: float | None) -> tuple[Graph, Plan]:
    graph = load(Path(path))
    return graph, plan(graph, device(DEVICE), fps=fps)


SAME_2D = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
SAME_3D = Window((3, 3, 3), padding=((1, 1), (1, 1), (1, 1)))
MODULE = f"{TOP}__{STAGE}"
WORKLOADS = {
    "W1": Workload(partial(_stage, (1, 16, 16, 16), 16, SAME_2D, 16, 2), MODULE),
    "W2": Workload(partial(_stage, (8, 8, 8, 8), 16, SAME_3D, 8, 4), MODULE),
    "W3": Workload(partial(_stage, (1, 1, 1, 256), 64, Window(), 16, 1), MODULE),
    "voxtt-modelnet10 at 1 000 frames a second": Workload(partial(_committed, "models/voxtt-modelnet10.qtt", 1000.0)),
    "voxtt-modelnet10, fastest": Workload(partial(_committed, "models/voxtt-modelnet10.qtt", None), placer="static"),
}


def occupancy(graph: Graph, found: Plan) -> float:
    """Useful products over all lanes times the interval."""
    specs = stage_specs(graph, [(s.stage, s.folding) for s in found.stages], family_of(device(found.device)))
    lanes = sum(spec.products for spec in specs)
    return float(sum(spec.products * spec.cycles for spec in specs) / (lanes * found.predicted.mean))


def measured(name: str, seeds: int) -> dict[str, Any]:
    """The row of a workload; raises ValueError where the simulation is not equal."""
    workload = WORKLOADS[name]
    graph, chosen = workload.planned()
    family = family_of(device(DEVICE))
    edge = graph.input.edge
    x = np.random.default_rng(1).integers(edge.format.minimum, edge.format.maximum + 1, (workload.samples, *edge.shape))
    with tempfile.TemporaryDirectory(prefix="datapath-") as temporary:
        folder = Path(temporary)
        emit(graph, folder / "taps", chosen, taps=True)
        result = cosim(folder / "taps", x)
        if not (result.equal and result.cycles_equal):
            raise ValueError(f"{name}: the simulation differs from the golden model, or its cycles from the prediction")
        manifest = emit(graph, folder / "build", chosen)
        sources = [folder / "build" / source for source in manifest.sources.of(family)]
        netlist = folder / "netlist"
        netlist.mkdir()
        cells = synthesise(sources, workload.module, netlist, family)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            placements = list(pool.map(partial(_placed, netlist, workload.placer), range(1, seeds + 1)))
    clocks = [min(placement.fmax.values()) for placement in placements]
    stage = next((s for s in chosen.stages if workload.module == f"{TOP}__{s.stage}"), None)
    whole = chosen if stage is None else stage
    clock = statistics.median(clocks)
    interval = chosen.predicted.mean
    worst = placements[clocks.index(min(clocks))]
    path = worst.paths[min(worst.fmax, key=lambda net: worst.fmax[net])]
    return {
        "workload": name,
        "device": f"{DEVICE}, speed 6",
        "cycles": number_of(interval),
        "occupancy": round(occupancy(graph, chosen), 4) if stage is None else round(float(stage.cycles / interval), 4),
        "equal": result.equal,
        "cycles_as_predicted": result.cycles_equal,
        "samples": workload.samples,
        **counts(placements[0].used),
        "cells": {cell: cells.get(cell, 0) for cell in ("LUT4", "CCU2C", "TRELLIS_DPR16X4", "TRELLIS_FF")},
        "planned": {"luts": whole.luts, "dsps": whole.dsps, "brams": whole.brams},
        "placer": workload.placer,
        "fmax_mhz": clocks,
        "fmax_mhz_median": clock,
        "inferences_per_second": round(float(clock * 1_000_000 / interval), 1),
        "slowest_path": {"from": path.start, "to": path.end, "logic_ns": path.logic_ns, "routing_ns": path.routing_ns},
        "commit": commit(),
    }


def _placed(netlist: Path, placer: Placer, seed: int) -> Placement:
    """A synthesised module placed alone, in a folder of its own."""
    folder = netlist.with_name(f"seed-{seed}")
    folder.mkdir()
    shutil.copyfile(netlist / "netlist.json", folder / "netlist.json")
    return place(folder, device(DEVICE), frequency_mhz=AIM_MHZ, seed=seed, placer=placer)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.datapath", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all when left out"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of the placer, from 1 on")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.workloads if name not in WORKLOADS]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such workload; there are {', '.join(WORKLOADS)}")
    for name in given.workloads or WORKLOADS:
        row = measured(name, given.seeds) | {"command": command(given.output), "date": time.strftime("%Y-%m-%d")}
        if given.output is not None:
            append_row(given.output, row, ("workload", "device"))
        print(json.dumps(row, indent=1))


if __name__ == "__main__":
    sys.exit(run_command("bench.datapath", main, whole=True))
