"""How long the prediction of cycles takes, on a model's plan and on a synthetic chain of full-size volumes.

    python -m bench.cycles models/voxtt-modelnet10.qtt --fps 5000 -o results/bench-cycles.json

The chain is a dense convolution and TT convolutions of 64 channels and rank 8 on 32^3 positions, then two strided
convolutions, an average over what is left and a classifier.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import command, machine, show
from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Contraction, Edge, Node, Pool
from qtt_hw.graph.file import load
from qtt_hw.process import run_command
from qtt_hw.window import Window
from rtl_gen.cycles import predict
from rtl_gen.families import ECP5, device, family_of
from rtl_gen.geometry import Geometry
from rtl_gen.kinds import Folding, Spec, spec_of
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.search import plan
from rtl_gen.prediction import number_of

CHANNELS, RANK, CLASSES = 64, 8, 40


def chain(size: int, blocks: int) -> list[Spec]:
    """The synthetic chain: one input a cycle, up to eight results in parallel, a row of slack in every ring."""
    edge = Edge((size, size, size, 1), Format(1, False, 0))
    specs: list[Spec] = []

    def add(node: Node, window: Window, pe: int) -> None:
        nonlocal edge
        geometry = Geometry.of(window, edge.shape, 1)
        ring = geometry.least_ring + geometry.strides[1]
        specs.append(spec_of(node, (edge,), Folding(simd=1, pe=pe, lanes=1, ring=ring, queue=16), ECP5))
        edge = specs[-1].out

    def convolve(channels: int, kernel: tuple[int, int, int], stride: int = 1) -> None:
        d, h, w = ((k - 1) // 2 for k in kernel)
        window = Window(kernel, (stride, stride, stride), ((d, d), (h, h), (w, w)))
        name = f"conv{len(specs)}"
        weight = np.ones((channels, *kernel, edge.channels), dtype=np.int64)
        requant = Requantizer(Format(8, True, 0), 2)
        node = Contraction(name, (INPUT,), name, window, weight, Format(4, True, 0, narrow=True), requant)
        add(node, window, min(channels, 8))

    convolve(CHANNELS, (3, 3, 3))
    for _ in range(blocks):
        for channels, kernel in (
            *((RANK, (1, 1, 1)), (RANK, (3, 1, 1)), (RANK, (1, 3, 1))),
            *((RANK, (1, 1, 3)), (CHANNELS, (1, 1, 1))),
        ):
            convolve(channels, kernel)
    for _ in range(2):
        convolve(CHANNELS, (2, 2, 2), stride=2)
    everything = Window(edge.shape[:3])
    add(Pool("mean", (INPUT,), "mean", "average", everything), everything, 1)
    convolve(CLASSES, (1, 1, 1))
    return specs


def measure(specs: Sequence[Spec], in_lanes: int, classes: int) -> dict[str, Any]:
    """Seconds of the first prediction, tables included, and of the next; what it predicts."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        found = predict(specs, in_lanes, classes=classes)
        seconds.append(round(time.perf_counter() - start, 4))
    return {
        "stages": len(specs),
        "words_per_inference": sum(s.out_words for s in specs),
        "interval": number_of(found.mean),
        "intervals": list(found.intervals),
        "latency": found.latency,
        "first_seconds": seconds[0],
        "seconds": seconds[1],
        "most_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cycles", description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--device", default="ecp5-85f")
    parser.add_argument("--fps", type=float)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    graph = load(given.model)
    found = plan(graph, device(given.device), fps=given.fps)
    specs = stage_specs(graph, [(s.stage, s.folding) for s in found.stages], family_of(device(given.device)))
    row = {
        "machine": machine(),
        given.model.name: measure(specs, found.input_lanes, graph.output.channels),
        f"synthetic-{given.size}": measure(chain(given.size, given.blocks), 1, CLASSES),
        "command": command(given.output),
    }
    show(row, given.output)


if __name__ == "__main__":
    sys.exit(run_command("bench.cycles", main, whole=True))
