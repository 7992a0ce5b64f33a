"""Stages and committed networks as placed hardware: cycles, occupancy, cells, and the clock over several seeds.

    python -m bench.datapath -o results/datapath.json
    python -m bench.datapath W1 W2 W3 -o results/datapath.json

A workload is simulated first: equal to the golden model at every stage's output, in the predicted cycles; only then
is it synthesised and placed, on an ECP5-85F of speed 6. Of W1 to W3, one stage each, the module is placed alone, out of
context; the head that ends their network is simulated with it. A committed model is placed whole, as planned, with the
serial link and the pads of a board.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import boards
from bench.proof import CELLS
from bench.report import command
from bench.rows import append_row, made_by
from boards.build import build, measure
from boards.place import Placer
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec
from qtt_hw.graph.file import load
from qtt_hw.process import run_command
from qtt_hw.window import Window
from rtl_gen.emit import TOP, emit
from rtl_gen.families import Family, device, family_of
from rtl_gen.kinds import Folding, kind_of
from rtl_gen.manifest import Manifest
from rtl_gen.plan.derive import derived
from rtl_gen.plan.hardware import hardware_of, stage_specs
from rtl_gen.plan.occupancy import occupancy
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.search import plan
from rtl_gen.prediction import number_of
from sim.cosim import cosim

DEVICE, BOARD = "ecp5-85f", "ulx3s-85f"
#: The clock that nextpnr is asked for: of a module alone above what it reaches, so that it tries as hard at 150 MHz as
#: at 200; of a whole design one that the board's PLL makes.
MODULE_MHZ, WHOLE_MHZ = 250.0, 150.0
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
    seeds : int
        Of the placer, from 1 on: fewer for what takes an hour each.
    placer : "heap", "heap-timing" or "static"
    """

    planned: Callable[[], tuple[Graph, Plan]]
    module: str = TOP
    samples: int = 4
    seeds: int = 3
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
    found = [
        choice
        for choice in choices
        if (choice.folding.simd, choice.folding.pe, choice.folding.multiplier) == (simd, pe, "dsp")
    ]
    return min(found, key=lambda choice: (choice.cycles, choice.resources.luts)).folding


def _committed(path: str, fps: float | None, *, engines: bool = False) -> tuple[Graph, Plan]:
    graph = load(Path(path))
    return graph, plan(graph, device(DEVICE), fps=fps, engines=engines)


SAME_2D = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
SAME_3D = Window((3, 3, 3), padding=((1, 1), (1, 1), (1, 1)))
MODULE = f"{TOP}__{STAGE}"
WORKLOADS = {
    "W1": Workload(partial(_stage, (1, 16, 16, 16), 16, SAME_2D, 16, 2), MODULE, placer="heap-timing"),
    "W2": Workload(partial(_stage, (8, 8, 8, 8), 16, SAME_3D, 8, 4), MODULE, placer="heap-timing"),
    "W3": Workload(partial(_stage, (1, 1, 1, 256), 64, Window(), 16, 1), MODULE, placer="heap-timing"),
    "voxtt-modelnet10 at 1 000 frames a second": Workload(partial(_committed, "models/voxtt-modelnet10.qtt", 1000.0)),
    "voxtt-modelnet10 at 1 000 frames a second, with engines": Workload(
        partial(_committed, "models/voxtt-modelnet10.qtt", 1000.0, engines=True)
    ),
    "voxtt-modelnet10 at 14 300 frames a second, with engines": Workload(
        partial(_committed, "models/voxtt-modelnet10.qtt", 14_300.0, engines=True), seeds=1, placer="static"
    ),
    "voxtt-modelnet10, fastest": Workload(  # which fills the multipliers
        partial(_committed, "models/voxtt-modelnet10.qtt", None), seeds=1, placer="static"
    ),
    "lenet-mnist at 1 000 frames a second": Workload(partial(_committed, "models/lenet-mnist.qtt", 1000.0)),
    "resnet32-ttlc-cifar10 at 1 333 frames a second, with engines": Workload(
        partial(_committed, "models/resnet32-ttlc-cifar10.qtt", 1333.0, engines=True), seeds=1
    ),
    "resnet20-cifar10 at 500 frames a second": Workload(
        partial(_committed, "models/resnet20-cifar10.qtt", 500.0), seeds=1
    ),
}


def measured(name: str, seeds: int | None = None) -> dict[str, Any]:
    """The row of a workload; raises ValueError where the simulation is not equal."""
    workload = WORKLOADS[name]
    graph, chosen = workload.planned()
    edge = graph.input.edge
    x = np.random.default_rng(1).integers(edge.format.minimum, edge.format.maximum + 1, (workload.samples, *edge.shape))
    with tempfile.TemporaryDirectory(prefix="datapath-") as temporary:
        folder = Path(temporary)
        emit(graph, folder / "taps", chosen, taps=True)
        result = cosim(folder / "taps", x)
        if not (result.equal and result.cycles_equal):
            raise ValueError(f"{name}: the simulation differs from the golden model, or its cycles from the prediction")
        emit(graph, folder / "build", chosen)
        tried = workload.seeds if seeds is None else seeds
        placed = (_whole if workload.module == TOP else _module)(folder / "build", workload, tried)
    stage = next((s for s in chosen.stages if workload.module == f"{TOP}__{s.stage}"), None)
    specs = [s for s in hardware_of(graph, chosen)[0] if stage is None or s.node.name == stage.stage]
    planned = chosen if stage is None else stage
    interval = chosen.predicted.mean
    return {
        "workload": name,
        "device": f"{DEVICE}, speed 6",
        "cycles": number_of(interval),
        "occupancy": round(float(occupancy(specs, interval) or 0), 4),
        "equal": result.equal,
        "cycles_as_predicted": result.cycles_equal,
        "samples": workload.samples,
        "planned": {part: getattr(planned, part) for part in ("luts", "ffs", "dsps", "brams")},
        "placer": workload.placer,
        **placed,
        "inferences_per_second": round(float(placed["seeds"]["median_mhz"] * 1_000_000 / interval), 1),
    }


def _module(folder: Path, workload: Workload, seeds: int) -> dict[str, Any]:
    """Of one module, placed alone."""
    family = family_of(device(DEVICE))
    sources = [folder / name for name in Manifest.load(folder).sources.of(family)]
    found = measure(
        sources, workload.module, device=DEVICE, frequency_mhz=MODULE_MHZ, seeds=seeds, placer=workload.placer
    )
    cells = {cell: found["cells"].get(cell, 0) for cell in CELLS.values()}
    names = ("luts", "ffs", "dsps", "brams", "seeds", "critical_path", "seconds")
    return {name: found[name] for name in names} | {"cells": cells}


def _whole(folder: Path, workload: Workload, seeds: int) -> dict[str, Any]:
    """Of a whole design with the link, on the board."""
    found = build(folder, boards.load(BOARD), frequency_mhz=WHOLE_MHZ, seeds=seeds, placer=workload.placer)
    names = ("luts", "ffs", "dsps", "brams", "seeds", "critical_path", "seconds")
    return {name: found.model_dump(mode="json")[name] for name in names} | {"board": BOARD}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.datapath", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all when left out"
    )
    parser.add_argument("--seeds", type=int, help="of the placer, from 1 on; by default the workload's own number")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.workloads if name not in WORKLOADS]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such workload; there are {', '.join(WORKLOADS)}")
    for name in given.workloads or WORKLOADS:
        row = measured(name, given.seeds) | made_by(command(given.output))
        if given.output is not None:
            append_row(given.output, row, ("workload", "device"))
        print(json.dumps(row, indent=1))


if __name__ == "__main__":
    sys.exit(run_command("bench.datapath", main, whole=True))
