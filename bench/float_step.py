"""Seconds of one float training step, in float32 and bfloat16 autocast, contiguous and channels-last in memory.

    python -m bench.float_step resnet20 --input 3,1,32,32 -o results/bench-float-step.json

A step is forward, loss, backward and update by SGD on random data, freed memory kept as in training, or not. The least
of several steps is reported, in wall and in processor time: on a machine that has other work to do, only the latter
compares.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bench.report import command, show
from qtt_hw.cli.show import shape
from qtt_hw.nn.memory import channels_last
from qtt_hw.process import keep_freed_memory, run_command
from qtt_hw.training.environment import reproducible
from qtt_hw.training.untrained import network


def contiguous(model: nn.Module) -> nn.Module:
    """The model with every parameter in plain memory order."""
    for parameter in model.parameters():
        parameter.data = parameter.data.contiguous()
    return model


def step_seconds(model: nn.Module, x: torch.Tensor, y: torch.Tensor, autocast: bool, steps: int) -> dict[str, float]:
    """The least wall and processor seconds of a step, after one to warm up; on a device, until it has ended."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    wall, processor = [], []
    for _ in range(steps + 1):
        started, used = time.perf_counter(), time.process_time()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
            loss = F.cross_entropy(model(x).float(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if x.is_cuda:
            torch.cuda.synchronize()
        wall.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return {"wall": round(min(wall[1:]), 4), "processor": round(min(processor[1:]), 4)}


def measure(
    source: str, given: tuple[int, int, int, int] | None, batch: int, steps: int, device: str = "cpu"
) -> dict[str, Any]:
    """Seconds by memory order and precision."""
    rows = {}
    with reproducible(torch.get_num_threads()):  # as in training
        for order in ("contiguous", "channels_last"):
            for autocast in (False, True):
                model, (c, d, h, w) = network(source, given)
                model = (channels_last if order == "channels_last" else contiguous)(model.train()).to(device)
                torch.manual_seed(0)
                x, y = torch.randn(batch, d, h, w, c).permute(0, 4, 1, 2, 3), torch.randint(0, 10, (batch,))
                x, y = (x if order == "channels_last" else x.contiguous()).to(device), y.to(device)
                rows[f"{order}, {'bfloat16' if autocast else 'float32'}"] = step_seconds(model, x, y, autocast, steps)
    return {"model": source, "device": device, "batch": batch, "threads": torch.get_num_threads(), "seconds": rows}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.float_step", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="zoo name or file.py:Net")
    parser.add_argument("--input", metavar="C,D,H,W")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--default-malloc", action="store_true", help="leave the allocator as it is")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if not given.default_malloc:
        keep_freed_memory()
    row = measure(given.model, shape(given.input), given.batch, given.steps, given.device)
    row["machine"] = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
    row["command"] = command(given.output)
    show(row, given.output)


if __name__ == "__main__":
    sys.exit(run_command("bench.float_step", main, whole=True))
