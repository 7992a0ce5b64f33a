"""What an accelerator is worth: equality with the golden model, batches, steps a second beside the CPU's, and rows.

    bash bench/accelerator.sh                      # on a CUDA device, 12 minutes
    bash bench/accelerator.sh --device cpu --small # the same in small, to try it

1. `eval()` of the prepared models equals the golden integer model's logits on the device, to the last bit.
2. Batches that are made on the device are those of the processor, to the last bit.
3. Seconds of a step of the layers in either order of memory, and steps a second: of the float phase, in float32,
   bfloat16 and as CUDA graphs, and of the quantised phase.
4. The queue's rows, by several processes until the time is over; what has not ended goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.float_step import measure
from bench.rows import made_by
from qtt_hw.data import Augmentation, Samples, Splits, load
from qtt_hw.errors import short
from qtt_hw.evaluation import logits as golden_logits
from qtt_hw.files import write_file
from qtt_hw.graph import InputSpec
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.process import keep_freed_memory, run_command
from qtt_hw.training import train
from qtt_hw.training.batches import Batches
from qtt_hw.training.config import Config, load_config
from qtt_hw.training.measure import logits
from qtt_hw.training.network import build_model
from qtt_hw.training.quantized import calibrate, prepare_model
from qtt_hw.training.resident import Resident
from qtt_hw.training.run import load_run
from qtt_hw.training.sections import QuantSection

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
#: Seconds that are kept for stopping what still trains, and for writing.
LAST = 45
#: (configuration, data, the data where that is not at hand) whose steps are measured.
MEASURED = (
    ("voxtt-modelnet10.toml", "modelnet10", ("solids", {"edge": 30, "classes": 8, "per_class": 100})),
    ("resnet20-cifar10.toml", "cifar10", None),
)
#: A network of every kind of contraction: dense, depthwise, pointwise; and gates.
UNTRAINED = (
    ("x3d-egogestar.toml", (16, 48, 64, 3)),
    ("resnet20-cifar10.toml", (1, 32, 32, 3)),
)
#: (configuration, input, batch) whose layers are timed in either order of memory.
ORDERS = (
    ("voxtt-modelnet10.toml", (8, 15, 15, 15), 32),
    ("resnet20-cifar10.toml", (3, 1, 32, 32), 128),
)


def equal_to_golden(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """Models whose evaluation on the device equals the golden model's, or by how many logits it does not."""
    rows = []
    run = ROOT / "models" / "voxtt-modelnet10-run"
    prepared, _, spec, labels = load_run(run)
    rows.append(_compared(run.name, prepared, spec, labels, device, 8 if small else 256))
    for name, shape in UNTRAINED[: 0 if small else None]:
        rows.append(_compared(name, *_calibrated(name, shape), device, 8))
    return rows


def _calibrated(name: str, shape: tuple[int, int, int, int]) -> tuple[PreparedModel, InputSpec, tuple[str, ...]]:
    """An untrained network whose scales are those of random samples."""
    config = load_config(ROOT / "models" / name)
    samples = _random(shape, 16)
    labels = tuple(str(index) for index in range(10))
    splits = Splits(samples, samples, samples, labels, "random")
    spec = config.data.input_spec(splits)
    how = (config.quant or QuantSection()).model_copy(update={"activations": "quantized"})
    prepared = prepare_model(build_model(config, spec, len(labels), 0).eval(), spec, how)
    batches = Batches(samples, spec, Augmentation(), 8, 0, torch.device("cpu"))
    calibrate(prepared, batches, how)
    return prepared.eval(), spec, labels


def _random(shape: tuple[int, ...], count: int, most: int = 255) -> Samples:
    draw = np.random.default_rng(0)
    x = draw.integers(0, most + 1, size=(count, *shape), dtype=np.uint8)
    return Samples(x, np.arange(count, dtype=np.int64) % 10)


def _compared(
    name: str,
    prepared: PreparedModel,
    spec: InputSpec,
    labels: tuple[str, ...],
    device: torch.device,
    count: int,
) -> dict[str, Any]:
    graph = freeze(prepared, spec, labels, "model")
    most = 1 if spec.edge.format.bits == 1 else 255
    samples = _random(spec.sample_shape, count, most)
    wanted = golden_logits(graph, samples.x)
    started = time.perf_counter()
    found = logits(prepared.to(device), samples, spec, device).double() * 2.0**prepared.output_format.frac
    seconds = time.perf_counter() - started
    different = int((found.numpy() != wanted).sum())
    return {
        "model": name,
        "samples": count,
        "logits": wanted.size,
        "different": different,
        "samples_a_second": round(count / seconds, 1),
    }


def equal_batches(device: torch.device) -> dict[str, Any]:
    """How many values of batches that the device makes are not those that the processor makes."""
    samples = _random((30, 30, 30, 1), 64, 1)
    spec = input_spec(samples.sample_shape, 2)
    different = total = 0
    for how in (
        Augmentation((0.5, 0.5, 0.0), (2, 2, 2)),
        Augmentation((0, 0, 0), (2, 2, 2), "W", 12, (0.15, 0.15, 0.15)),
        Augmentation((0.5, 0, 0), (1, 0, 0), "D", scales=(0.3, 0, 0.1)),
    ):
        own = Batches(samples, spec, how, 32, 5, torch.device("cpu"))
        there = replace(own, device=device, resident=Resident(samples, device))
        for index in range(own.per_epoch):
            x, y = own.make(1, index)
            made, classes = there.make(1, index)
            different += int((made.cpu() != x).sum()) + int((classes.cpu() != y).sum())
            total += x.numel() + y.numel()
    return {"values": total, "different": different}


def orders_of_memory(device: str, small: bool) -> list[dict[str, Any]]:
    """Seconds of a step of the layers alone, contiguous and channels-last, in float32 and bfloat16."""
    rows = []
    for name, shape, batch in ORDERS:
        found = measure(str(ROOT / "models" / name), shape, 2 if small else batch, 1 if small else 20, device)
        rows.append({"config": name, "seconds": found["seconds"]})
    return rows


def steps_a_second(config: Config, splits: Splits, accelerator: str, phase: str, folder: Path) -> float:
    """Of a phase's later epochs, validation included: the first one warms up."""
    train(config, splits, folder, accelerator=accelerator)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    seconds = [line["seconds"] for line in lines if line["phase"] == phase]
    batch = (config.train if phase == "float" else config.quant or config.train).batch
    steps = len(splits.train) // min(batch, len(splits.train))
    return float(round(steps * (len(seconds) - 1) / (seconds[-1] - seconds[0]), 2))


def measured(device: torch.device, small: bool, over: Callable[[], bool]) -> list[dict[str, Any]]:
    """Rows of steps a second, on the device and on one thread of the processor, for every way to compute."""
    rows = []
    for name, source, instead in MEASURED[: 1 if small else None]:
        config = load_config(ROOT / "models" / name)
        try:
            if small:
                raise ValueError
            splits = config.data.load(source)
        except ValueError:
            if instead is None:
                rows.append({"config": name, "left_out": f"{source} is not at hand: set QTT_DATA"})
                continue
            source, options = instead
            splits = load(source, **({**options, "edge": 8, "per_class": 20} if small else options))
        ways: list[tuple[str, str, dict[str, Any]]]
        ways = [("float", "float32", {}), ("float", "bfloat16", {"autocast": True})]
        if device.type == "cuda":
            ways.append(("float", "bfloat16, CUDA graphs", {"autocast": True, "graphs": True}))
            ways.append(("float", "float32, CUDA graphs", {"graphs": True}))
        ways.append(("quantized", "float32, then exact", {"epochs": 0}))
        for where in dict.fromkeys((device.type, "cpu")):
            for phase, how, options in ways:
                if over() or (where == "cpu" and "graphs" in options):
                    continue
                rows.append(_measured(config, splits, where, phase, how, options, small))
                print(json.dumps(rows[-1]), flush=True)
    return rows


def _measured(
    config: Config, splits: Splits, where: str, phase: str, how: str, options: dict[str, Any], small: bool
) -> dict[str, Any]:
    # An epoch takes longer than what is to be learned from it: a part of the samples does.
    part = splits.train.take(np.arange(min(len(splits.train), 2048 if where == "cpu" else 8192)))
    fewer = replace(splits, train=part, validation=splits.validation.take(np.arange(min(64, len(splits.validation)))))
    changes: dict[str, Any] = {"train": {"epochs": 3, "ema": 0.99, "threads": 1, **options}}
    if small:
        changes["model"] = {"args": {"widths": [4, 8], "strides": [2, 1], "ranks": 4, "head": "average"}}
    if phase == "quantized":
        changes["quant"] = {"epochs": 4, "calibration": 2, "reestimate": 2, "activations": "quantized"}
    without = ["teacher"] if phase == "quantized" else ["teacher", "quant"]
    row: dict[str, Any] = {"config": config.name, "data": splits.name, "device": where, "phase": phase, "how": how}
    with tempfile.TemporaryDirectory() as folder:
        try:
            changed = config.changed("measured", changes, without)
            row["steps_a_second"] = steps_a_second(changed, fewer, where, phase, Path(folder) / "run")
        except Exception as error:  # of a device's own: said, and the rest is measured all the same
            row["failed"] = short(" ".join(str(error).split()), 300)
    return row


def graphs_pay(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the first network's float steps ran as CUDA graphs, and faster than without."""
    found = {row["how"]: row.get("steps_a_second", 0.0) for row in reversed(rows) if row.get("device") == "cuda"}
    return bool(found.get("float32, CUDA graphs", 0.0) > found.get("float32", 0.0))


def train_rows(
    queue: Path, only: Sequence[str], out: Path, accelerator: str, graphs: bool, processes: int, seconds: float
) -> dict[str, Any]:
    """Run the queue by several processes for so long; what they said, and how they ended."""
    command = [sys.executable, "-m", "bench.results", "--queue", str(queue), "--accelerator", accelerator, "--quiet"]
    command += ["--results", str(out / "results"), "--runs", str(out / "runs")]
    command += ["--graphs"] if graphs else []
    command += [part for title in only for part in ("--only", title)]
    started = time.monotonic()
    running = []
    for index in range(processes):
        log = (out / f"train{index}.log").open("wb")
        running.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT))
        log.close()
    while any(process.poll() is None for process in running) and time.monotonic() - started < seconds:
        time.sleep(0.5)
    ended = [process.poll() for process in running]
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(LAST / 2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    said = [(out / f"train{index}.log").read_text(errors="replace").splitlines() for index in range(processes)]
    return {"queue": queue.name, "seconds": round(time.monotonic() - started, 1), "ended": ended, "said": said}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.accelerator", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny networks and generated data: that it runs")
    parser.add_argument("--minutes", type=float, default=12.0, help="all in all")
    parser.add_argument("--queue", type=Path, default=ROOT / "models" / "queue-modelnet10.toml")
    parser.add_argument("--only", metavar="TITLE", action="append", default=[], help="only these of its entries")
    parser.add_argument("--processes", type=int, default=0, help="that train side by side; as many as pay")
    parser.add_argument("-o", "--output", type=Path, default=Path(os.environ.get("OUT", "accelerator")))
    given = parser.parse_args(arguments)

    def work() -> None:
        begun = time.monotonic()

        def left() -> float:
            return float(given.minutes * 60 - (time.monotonic() - begun))

        if given.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device cuda: this torch finds no CUDA device; in small: --device cpu --small")
        keep_freed_memory()
        # As in training: an evaluation in shortened float32 is refused.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        device = torch.device(given.device)
        given.output.mkdir(parents=True, exist_ok=True)
        name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
        report: dict[str, Any] = made_by(f"bash bench/accelerator.sh {' '.join(sys.argv[1:])}".strip())
        report |= {"device": name, "small": given.small}

        def note(key: str, value: Any) -> None:
            report[key] = value
            report["seconds"] = round(time.monotonic() - begun, 1)
            write_file(given.output / "accelerator.json", json.dumps(report, indent=1) + "\n")
            if key != "steps":
                print(json.dumps({key: value}), flush=True)

        note("golden", equal_to_golden(device, given.small))
        note("batches", equal_batches(device))
        note("orders", orders_of_memory(given.device, given.small))
        # Measuring may take a third of the time.
        note("steps", measured(device, given.small, lambda: left() < given.minutes * 60 * 2 / 3))
        seconds = left() - LAST
        if seconds > 10 and (not given.small or given.only):
            count = given.processes or (1 if device.type == "cpu" else max(1, min(6, (os.cpu_count() or 2) // 2)))
            graphs = graphs_pay(report["steps"])
            note("rows", train_rows(given.queue, given.only, given.output, given.device, graphs, count, seconds))
        where = given.output / "accelerator.json"
        faults = [row["model"] for row in report["golden"] if row["different"]]
        if report["batches"]["different"]:
            faults.append("batches")
        if faults:
            raise ValueError(f"{name}: not equal: {', '.join(faults)}; see {where}")
        trained = report.get("rows", {"ended": (), "said": ()})
        for code, said in zip(trained["ended"], trained["said"], strict=True):
            if code:
                raise ValueError(f"{name}: training ended with {code}, see {where}: {' '.join(said[-1:])}")

    return run_command("bench.accelerator", work, whole=arguments is None)


if __name__ == "__main__":
    sys.exit(main())
