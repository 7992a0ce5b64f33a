"""How long each step after training takes on a model, and how fast the golden model and the simulation run.

    python -m bench.pipeline models/voxtt-modelnet10.qtt -o results/bench-pipeline.json

Inputs are random voxels of the model's own shape; nothing but time is measured.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import command, show
from qtt_hw.graph.file import load
from qtt_hw.graph.golden import run
from qtt_hw.process import run_command
from rtl_gen.cycles import predict
from rtl_gen.emit import emit
from rtl_gen.families import device, family_of
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.search import plan
from sim.cosim import cosim


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the seconds it took."""
    start = time.perf_counter()
    result = function()
    return result, round(time.perf_counter() - start, 3)


def measure(path: Path, samples: int, target: str) -> dict[str, Any]:
    """Seconds of every step, and rates."""
    graph = load(path)
    edge = graph.input.edge
    rng = np.random.default_rng(0)
    x = rng.integers(edge.format.minimum, edge.format.maximum + 1, size=(samples, *edge.shape))
    _, golden_seconds = timed(lambda: run(graph, x))
    found, plan_seconds = timed(lambda: plan(graph, device(target)))
    specs = stage_specs(graph, [(s.stage, s.folding) for s in found.stages], family_of(device(target)))
    _, predict_seconds = timed(lambda: predict(specs, found.input_lanes, classes=graph.output.channels))
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build"
        _, emit_seconds = timed(lambda: emit(graph, build, found))
        _, compile_seconds = timed(lambda: cosim(build, x[:1]))
        result, cosim_seconds = timed(lambda: cosim(build, x))
    return {
        "model": path.name,
        "samples": samples,
        "machine": {"processor": platform.processor() or platform.machine(), "python": platform.python_version()},
        "golden_seconds": golden_seconds,
        "golden_samples_per_second": round(samples / golden_seconds, 1),
        "plan_seconds": plan_seconds,
        "predict_seconds": predict_seconds,
        "emit_seconds": emit_seconds,
        "verilator_compile_seconds": compile_seconds,
        "cosim_seconds": cosim_seconds,
        "cosim_cycles_per_second": round(result.simulated_cycles / cosim_seconds),
        "cosim_equal": result.equal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--device", default="ecp5-85f")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    row = measure(given.model, given.samples, given.device)
    row["command"] = command(given.output)
    show(row, given.output)


if __name__ == "__main__":
    sys.exit(run_command("bench.pipeline", main, whole=True))
