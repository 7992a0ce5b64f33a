"""What is checked of everything drawn: each stage's integers, and the cycle of each transfer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from qtt_hw.children import Children
from qtt_hw.fixedpoint import Format, IntArray
from qtt_hw.graph import Graph, golden
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from rtl_gen.cycles import schedule
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.manifest import Manifest
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.search import plan
from sim import icarus
from sim.batch import compile_batch, run_batch
from sim.cosim import cosim
from sim.icarus import compile_icarus, run_icarus
from sim.job import Job
from sim.rules import End
from sim.stalls import pattern
from sim.transfers import OUTPUT, STARTS, TAPS
from tests.drawn.networks import Network
from tests.drawn.operations import Operation

__all__ = ["SMALL", "Engine", "graph_of", "plan_of", "prove", "prove_hardware"]

Engine = Literal["verilator", "icarus"]
#: Bytes of Verilog, times cycles, up to which a design is simulated by Icarus too.
SMALL = 3_000_000_000
#: Samples that go back to back, both ends of the input's range among them.
SAMPLES = 5


def prove(drawn: Network | Operation, folder: Path, engines: Sequence[Engine]) -> Graph:
    """Check what was drawn, down to simulations in `folder`, and return its graph; none without engines.

    Raises AssertionError, or what broke, with the text of the drawn in front.
    """
    try:
        if isinstance(drawn, Operation):
            graph, plan_made = drawn.graph, lambda: drawn.plan
        else:
            graph, plan_made = graph_of(drawn), lambda: plan_of(drawn, graph)
        if engines:
            prove_hardware(graph, plan_made(), folder, engines, drawn.seed)
        return graph
    except Exception as error:
        raise AssertionError(f"{drawn}\n{type(error).__name__}: {error}") from error


# The prepared model against the golden model


def graph_of(drawn: Network) -> Graph:
    """The frozen graph of a network, whose every stage is equal to the prepared model's."""
    torch.manual_seed(drawn.seed)
    values = values_of(samples(drawn.input_format, volume(drawn.shape), 16, drawn.seed), drawn)
    prepared = prepare(drawn.model, values[:1], drawn.config, drawn.input_format)
    prepared.calibrate([values])
    if drawn.trained:
        _train(prepared, values)
    edge = prepared.input
    graph = freeze(prepared, input_spec(edge.shape, format=edge.format), name=f"drawn-{drawn.seed}")
    x = samples(edge.format, edge.shape, 8, drawn.seed + 1)
    given = values_of(x, drawn)
    prepared.eval()
    found, wanted = prepared.forward_all(given), golden.run(graph, x, intermediates=True)
    assert list(found) == list(wanted), "the prepared model's stages are the graph's"
    for name, integers in wanted.items():
        assert torch.equal(found[name].permute(0, 2, 3, 4, 1), torch.from_numpy(integers)), f"eval differs at {name}"
    logits = torch.from_numpy(wanted[graph.nodes[-1].name]).flatten(1).to(torch.float64)
    assert torch.equal(prepared(given).to(torch.float64), logits * 2.0**-graph.output.format.frac), "logits differ"
    if drawn.trained:
        assert torch.equal(prepared.train()(given), prepared.eval()(given)), "training's values differ from eval's"
    return graph


def _train(prepared: PreparedModel, values: Tensor) -> None:
    """A step, and the phases behind it."""
    optimizer = torch.optim.SGD(prepared.parameters(), 0.01)
    logits = prepared.train()(values)
    nn.functional.cross_entropy(logits, torch.arange(len(values)) % logits.shape[1]).backward()
    if nn.utils.clip_grad_norm_(prepared.parameters(), 1.0).isfinite():  # not so of a root at 0
        optimizer.step()
    prepared.freeze_scales()
    prepared.freeze_statistics([values])


def volume(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """(D, H, W, C) of a sample (C, ...)."""
    channels, *size = shape
    d, h, w = (*(1,) * (3 - len(size)), *size)
    return d, h, w, channels


def values_of(x: IntArray, drawn: Network) -> Tensor:
    """Float inputs as the network takes them, of integers [N, D, H, W, C]."""
    values = torch.from_numpy(x).permute(0, 4, 1, 2, 3).to(torch.float32) * 2.0**-drawn.input_format.frac
    return values.reshape(len(x), *drawn.shape)


def samples(fmt: Format, shape: Sequence[int], count: int, seed: int) -> IntArray:
    """Random integers [N, D, H, W, C] of a format, the first two all at its ends."""
    x = np.random.default_rng(seed).integers(fmt.minimum, fmt.maximum + 1, (count, *shape))
    x[0], x[1] = fmt.minimum, fmt.maximum
    return x


# The hardware against both


def plan_of(drawn: Network, graph: Graph) -> Plan:
    """As fast as the network says."""
    target = device(drawn.device)
    fastest = plan(graph, target if drawn.slowdown is None else device("ecp5-25f"))
    if drawn.slowdown is None:
        return fastest
    rate = float(fastest.frames_per_second) / drawn.slowdown
    return plan(graph, target, fps=rate)


def prove_hardware(graph: Graph, made: Plan, folder: Path, engines: Sequence[Engine], seed: int) -> None:
    """Every word equal to golden, also under stalls; every transfer and every end in its predicted cycle.

    Icarus takes part where the design is small, and where it is the only engine.
    """
    build = folder / "build"
    manifest = emit(graph, build, made, taps=True)
    x = samples(graph.input.edge.format, graph.input.edge.shape, SAMPLES, seed)
    size = (build / "design.v").stat().st_size * manifest.predicted.end(SAMPLES)
    for engine in engines:
        if engine == "icarus" and len(engines) > 1 and (size > SMALL or not icarus.available()):
            continue
        result = cosim(build, x, engine=engine, processes=1)
        assert result.equal, f"{engine}: {result.first_difference or result.failure}"
        assert result.cycles_equal, f"{engine}: {result.first_cycle_difference}"
        _prove_cycles(graph, made, build, manifest, x, engine)
        stalled = cosim(build, x, engine=engine, processes=1, stalls=True, seed=seed)
        assert stalled.equal, f"{engine}, stalls: {stalled.first_difference or stalled.failure}"


def _prove_cycles(graph: Graph, made: Plan, build: Path, manifest: Manifest, x: IntArray, engine: Engine) -> None:
    """Every transfer at the output and behind every stage is where the event model has it."""
    specs, topology = hardware_of(graph, made)
    wanted = schedule(specs, made.input_lanes, len(x), classes=math.prod(graph.output.shape), topology=topology)
    still = pattern("none")
    job = Job(build, manifest, graph, x, 0, still, still, 0, 20_000 + 4 * manifest.predicted.end(len(x)))
    compiled = {"verilator": compile_batch, "icarus": compile_icarus}[engine](build, manifest)
    run: Callable = {"verilator": run_batch, "icarus": run_icarus}[engine]
    found: dict[int, list[int]] = {}
    for item in run(job, compiled, Children()):
        if not isinstance(item, End):
            found.setdefault(item.stream, []).extend(item.cycles.tolist())
    start = found[STARTS][0]
    streams = {"output": (OUTPUT, wanted[-1])}
    streams |= {tap.stage: (TAPS + k, wanted[1 + k]) for k, tap in enumerate(manifest.taps)}
    for name, (stream, cycles) in streams.items():
        got = [cycle - start for cycle in found.get(stream, [])]
        assert got == cycles.tolist(), f"{engine}: transfers of {name} in cycles {got}, predicted are {cycles.tolist()}"
