"""Public networks, narrowed, all the way: untrained, as integers, planned, and simulated at every stage's output.

    pip install --no-deps -r bench/networks.txt
    python -m bench.narrowed -o results/narrowed.json
    python -m bench.narrowed r3d_18 "timm dla34" -o results/narrowed.json

Every network has random weights and batch norms of a fixed seed, with statistics of random inputs. A row says how it
was narrowed, how often each kind of stage occurs, what was planned, and whether `model.eval()`, the golden model and
the RTL are equal and the cycles as predicted. What fails has a row that says how.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.narrowings import NARROWED, Narrowed
from bench.networks import NETWORKS, packaged
from bench.report import figures
from bench.rows import append_row, made_by
from qtt_hw.fixedpoint import Format, IntArray
from qtt_hw.flow import emit
from qtt_hw.graph import Contraction, Edge, Graph, InputSpec, Multiplication, Node, Pool
from qtt_hw.graph.golden import run
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.planning import plan
from qtt_hw.process import run_command
from qtt_hw.quant import QuantConfig
from rtl_gen.plan.refusal import DoesNotFit
from rtl_gen.prediction import number_of
from sim.cosim import cosim

__all__ = ["KINDS", "kinds_of", "proven"]

#: Random inputs that scales and statistics are taken of.
CALIBRATED = 64
DEVICE = "ecp5-85f"
#: What a row counts: every kind of stage, and the forms that some kinds take.
KINDS = (
    *("convolution", "pointwise", "linear", "grouped", "depthwise", "dilated", "strided", "padded"),
    *("max pool", "average pool", "overlapping pool", "padded pool", "pool over the whole map"),
    *("add", "concatenation", "multiplication", "gate", "permutation", "reshape", "slice", "table"),
)


def kinds_of(graph: Graph) -> dict[str, int]:
    """How many stages are of each kind and form of `KINDS`; a stage may count as several."""
    edges = graph.edges
    counts: Counter[str] = Counter()
    for node in graph.nodes:
        counts.update(_kinds(node, [edges[name] for name in node.inputs]))
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def _kinds(node: Node, inputs: list[Edge]) -> set[str]:
    if isinstance(node, Contraction):
        return _of_contraction(node, inputs[0])
    if isinstance(node, Pool):
        return _of_pool(node, inputs[0])
    if isinstance(node, Multiplication):
        gate = inputs[1].positions == 1 < inputs[0].positions
        return {"multiplication", "gate"} if gate else {"multiplication"}
    return {node.tags[0]}


def _of_contraction(node: Contraction, x: Edge) -> set[str]:
    window = node.window
    found = {"linear" if x.positions == 1 else "convolution" if window.taps > 1 else "pointwise"}
    if node.groups > 1:
        found.add("depthwise" if node.groups == x.channels else "grouped")
    if max(window.dilation) > 1:
        found.add("dilated")
    if max(window.stride) > 1:
        found.add("strided")
    if any(map(any, window.padding)):
        found.add("padded")
    return found


def _of_pool(node: Pool, x: Edge) -> set[str]:
    window = node.window
    found = {f"{node.kind} pool"}
    if window.kernel == x.shape[:3]:
        found.add("pool over the whole map")
    elif any(kernel > stride for kernel, stride in zip(window.kernel, window.stride, strict=True)):
        found.add("overlapping pool")
    if any(map(any, window.padding)):
        found.add("padded pool")
    return found


def _random_norms(model: nn.Module, generator: torch.Generator) -> None:
    """Scales and offsets of every batch norm at random; some networks begin with scales of 0."""
    for norm in model.modules():
        if isinstance(norm, _BatchNorm):
            with torch.no_grad():
                norm.weight.copy_(torch.rand(norm.weight.shape, generator=generator) + 0.5)
                norm.bias.copy_(torch.randn(norm.bias.shape, generator=generator) / 4)


def _random_inputs(shape: tuple[int, ...], fmt: Format, count: int, generator: torch.Generator) -> torch.Tensor:
    """Every value of the format alike often, as floats [count, ...]."""
    size = (count, *shape[1:])
    return torch.randint(fmt.minimum, fmt.maximum + 1, size, generator=generator) * 2.0**-fmt.frac


def _as_integers(x: torch.Tensor, edge: Edge) -> IntArray:
    """The golden model's inputs int64 [N, D, H, W, C] of floats [N, C, (D,) H, W]."""
    integers = (x * 2.0**edge.format.frac).round().to(torch.int64)
    return np.ascontiguousarray(integers.movedim(1, -1).reshape(len(x), *edge.shape).numpy())


def integers_of(name: str, chosen: Narrowed) -> tuple[PreparedModel, Graph, torch.Tensor]:
    """The prepared model in evaluation, its graph, and inputs to prove it on."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model = chosen.make()
    _random_norms(model, generator)
    x = _random_inputs(chosen.shape, chosen.input_format, CALIBRATED, generator)
    config = QuantConfig(weight_bits=chosen.weight_bits, activation_bits=8)
    prepared = prepare(model.eval(), x[:1], config, chosen.input_format)
    prepared.calibrate([x])
    prepared.eval()
    graph = freeze(prepared, InputSpec(prepared.input, prepared.input.shape), name=name)
    return prepared, graph, _random_inputs(chosen.shape, chosen.input_format, max(chosen.samples, 1), generator)


def constant_stages(stages: dict[str, IntArray]) -> list[str]:
    """Stages whose outputs are all the same number, which prove little."""
    return [name for name, y in stages.items() if y.size > 1 and y.min() == y.max()]


def proven(name: str, chosen: Narrowed) -> dict[str, Any]:
    """What the row says; raises whatever the product raises."""
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def until_now(what: str) -> None:
        nonlocal started
        ended = time.perf_counter()
        seconds[what], started = round(ended - started, 1), ended

    prepared, graph, x = integers_of(name, chosen)
    until_now("freeze")
    integers = _as_integers(x, graph.input.edge)
    golden = run(graph, integers, intermediates=True)
    evaluated = {
        stage: np.moveaxis(y.numpy(), 1, -1).reshape(golden[stage].shape)
        for stage, y in prepared.forward_all(x).items()
    }
    row: dict[str, Any] = {
        "kinds": kinds_of(graph),
        "stages": len(graph.nodes),
        "multiplications": graph.macs(),
        "weight_bytes": graph.weight_bytes,
        "eval_equals_golden": golden.keys() == evaluated.keys()
        and all(np.array_equal(golden[stage], evaluated[stage]) for stage in golden),
        "constant_stages": constant_stages(golden),
    }
    until_now("golden")
    found, row["device"] = _planned(graph, chosen.fps)
    until_now("plan")
    row |= {"fps": chosen.fps, "plan": figures(found)}
    if chosen.samples:
        with tempfile.TemporaryDirectory() as folder:
            emit(graph, Path(folder) / "build", found, taps=True)
            until_now("emit")
            simulated = cosim(Path(folder) / "build", integers)
        until_now("cosim")
        row |= {
            "equal": simulated.equal,
            "samples": simulated.samples,
            "simulated": {
                "cycles": None if simulated.cycles is None else number_of(simulated.cycles),
                "intervals": list(simulated.intervals),
                "latency": simulated.latency,
                "as_predicted": simulated.cycles_equal,
            },
        }
        if not simulated.equal:
            row["difference"] = str(simulated.failure or simulated.first_difference)
        if simulated.first_cycle_difference is not None:
            row["cycle_difference"] = str(simulated.first_cycle_difference)
    return row | {"seconds": seconds}


def _planned(graph: Graph, fps: float | None) -> tuple[Any, str]:
    """A plan for the device, or without bounds where it does not fit; and which."""
    try:
        return plan(graph, DEVICE, fps=fps), DEVICE
    except DoesNotFit:
        return plan(graph, "none", fps=fps), "none"


def row_of(name: str) -> dict[str, Any]:
    """The whole row; what fails is told in it."""
    chosen = NARROWED[name]
    row: dict[str, Any] = {
        "network": name,
        "package": packaged(NETWORKS[name].package),
        "narrowed": chosen.how,
        "input": list(chosen.shape),
        "weight_bits": chosen.weight_bits,
        "activation_bits": 8,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return row | proven(name, chosen)
        except ImportError as error:
            raise ValueError(f"{name}: {error}; pip install --no-deps -r bench/networks.txt") from None
        except Exception as error:
            return row | {"failed": f"{type(error).__name__}: {error}"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.narrowed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="all when left out")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.networks if name not in NARROWED]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such network; there are {', '.join(NARROWED)}")
    for name in given.networks or list(NARROWED):
        row = row_of(name)
        print(f"{name}: {_said(row)}", flush=True)
        if given.output is not None:
            made = made_by(_alone(name, given.output))
            append_row(given.output, row | made, ("network",))


def _alone(name: str, output: Path) -> str:
    """The command that makes this row alone."""
    return f"python -m bench.narrowed {shlex.quote(name)} -o results/{output.name}"


def _said(row: dict[str, Any]) -> str:
    if "failed" in row:
        return str(row["failed"])
    planned = f"{row['plan']['cycles']} cycles planned"
    if "equal" not in row:
        return f"{planned}, not simulated"
    as_predicted = "as predicted" if row["simulated"]["as_predicted"] else "NOT AS PREDICTED"
    equal = "equal" if row["equal"] and row["eval_equals_golden"] else "NOT EQUAL"
    return f"{equal}, {planned}, {as_predicted}, {row['stages']} stages, {sum(row['seconds'].values()):.0f} s"


if __name__ == "__main__":
    sys.exit(run_command("bench.narrowed", main, whole=True))
