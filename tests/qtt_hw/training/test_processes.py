"""Two processes take the step of one with the joined batch; a run of two stops and goes on as one does."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import qtt_hw.training
from qtt_hw.training.checkpoint import load_tensors
from qtt_hw.training.config import Config
from qtt_hw.training.processes import ALONE, Processes
from qtt_hw.training.store import RunStore

Torchrun = Callable[..., "subprocess.Popen[str]"]

#: Trains each kind of phase alone with whole batches and then together, in either process, and compares.
WORKER = """
import copy, sys
from pathlib import Path
import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from qtt_hw.data import Augmentation, load
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.nn import TTConv3d
from qtt_hw.training.batches import Batches
from qtt_hw.training.sections import QuantSection, TrainConfig
from qtt_hw.training.distill import Loss
from qtt_hw.training.phase import Phase
from qtt_hw.training.processes import ALONE, started
from qtt_hw.training.quantized import calibrate, prepare_model, scale_parameters
from qtt_hw.training.stop import StopSignals
from qtt_hw.training.store import RunStore

torch.use_deterministic_algorithms(True)
splits = load("solids:8", classes=3, per_class=20)
spec = input_spec(splits.train.sample_shape)
augmentation = Augmentation((0.5, 0.5, 0.5), (1, 1, 1), "W")

class Double(nn.Module):
    # A float64 network on float32 batches.
    def __init__(self, inner):
        super().__init__()
        self.inner = inner.double()
    def forward(self, x):
        return self.inner(x.double())

def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm3d(4), nn.ReLU(),
        TTConv3d(4, 5, 3, 2, padding=1, bias=False), nn.BatchNorm3d(5), nn.ReLU(),
        nn.MaxPool3d(2), nn.Flatten(), nn.Linear(40, 3),
    )

def quantised(frozen, **options):
    how = QuantSection(calibration=2, **options)
    prepared = prepare_model(network().eval(), spec, how)
    batches = Batches(splits.train, spec, augmentation, 9, 7, torch.device("cpu"))
    calibrate(prepared, batches, how)
    if frozen:
        prepared.freeze_scales()
        prepared.freeze_statistics(batches.some(2, 5))
        return prepared
    return prepared.double()

# Batches of 9: one process takes 4 samples of each, the other 5.
CASES = {
    "float": (lambda: Double(network()), 1e-9, 2),
    "teacher": (lambda: Double(network()), 1e-9, 2),
    "quantized": (lambda: quantised(False), 1e-9, 2),
    "fixed scales": (lambda: quantised(False, scales="fixed", activation_bits=8), 1e-9, 2),
    "codebooks": (lambda: quantised(False, codebook="dqc"), 1e-9, 2),
    "float activations": (lambda: quantised(False, codebook="dqc", activations="float"), 1e-9, 2),
    # Forward values are the integers' own here; only the order of float32 sums differs. One step: the next one's
    # integers could.
    "frozen": (lambda: quantised(True), 2e-5, 0),
}
folder = Path(sys.argv[1])
with started("cpu") as together:
    assert together.count == 2
    for name, (make, tolerance, epochs) in CASES.items():
        models = []
        for processes in (ALONE, together):
            own = folder / f"{name}-{processes.count}-{together.rank if processes is ALONE else 0}"
            own.mkdir(exist_ok=True)
            size = 9 if epochs else 50
            how = TrainConfig(epochs=max(epochs, 1), batch=size, lr=1e-2, optimizer="sgd", clip=1.0, ema=0.9)
            batches = Batches(splits.train, spec, augmentation, how.batch, 7, torch.device("cpu"), processes)
            teachers = [Double(network().eval())] if name == "float" else []
            loss = Loss(0.1, teachers, 2.0, 0.5 if teachers else 0.0)
            model = make()
            scales = scale_parameters(model) if name not in ("float", "teacher") else []
            phase = Phase(
                name, model, how, batches, splits.validation, loss, scales=scales, scale_lr=1e-2, processes=processes
            )
            result = phase.run(RunStore(own, processes), {}, None, StopSignals())
            models.append((phase.model, result))
        (alone, before), (ours, after) = models
        for key in ("validation_accuracy", "epoch", "parameters"):
            assert before[key] == after[key], (name, key)
        moved, largest = 0, max(float(q.grad.abs().max()) for q in alone.parameters() if q.grad is not None)
        for (key, p), q in zip(ours.named_parameters(), alone.parameters(), strict=True):
            assert (p.grad is None) == (q.grad is None), (name, key)
            if p.grad is not None:
                moved += 1
                error = float((p.grad - q.grad).abs().max()) / largest
                assert error < tolerance, (name, key, "gradient", error)
                if epochs:
                    assert p.grad.dtype == torch.float64, (name, key)
        assert moved >= 6, (name, moved)
        for key, value in alone.state_dict().items():
            error = float((ours.state_dict()[key].double() - value.double()).abs().max())
            assert error < tolerance, (name, key, error)
        for key, value in ours.state_dict().items():  # the processes agree to the bit
            value = value.contiguous()
            theirs = [torch.empty_like(value) for _ in range(2)]
            dist.all_gather(theirs, value)
            assert torch.equal(*theirs), (name, key)
"""


def test_two_processes_take_the_step_of_one_with_the_joined_batch(tmp_path: Path, torchrun: Torchrun) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    running = torchrun(script, tmp_path)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    assert {path.name for path in tmp_path.glob("*-2-*")} == {f"{name}-2-0" for name in CASES}


CASES = ("float", "teacher", "quantized", "fixed scales", "codebooks", "float activations", "frozen")


AGREEMENTS = """
import os
import torch
from pathlib import Path
from qtt_hw.training.processes import started

def refused(act):
    try:
        act()
    except ValueError as error:
        return str(error)

with started("cpu") as processes:
    rank = processes.rank
    assert processes.several and processes.first == (rank == 0) and processes.count == 2
    assert processes.part(9) == (slice(0, 4), slice(4, 9))[rank]
    assert processes.sum([rank + 1, 0.5]) == [3.0, 1.0]
    assert processes.from_first(lambda: bytes([rank]) * 1000) == bytes(1000)
    assert processes.from_first(lambda: b"") == b""
    assert refused(lambda: processes.from_first(Path("none").read_bytes)).endswith("No such file or directory: 'none'")
    processes.agree("same", "it")
    assert refused(lambda: processes.agree(str(rank), "the data")) == (
        f"process {rank} of 2: the data differs between the processes"
    )
    # Whichever process a signal reached, all stop by it.
    assert processes.stopped_by(15 if rank == 1 else None) == 15 and processes.stopped_by(None) is None
    layer = torch.nn.Conv3d(2, 3, 1).to(memory_format=torch.channels_last_3d)
    torch.nn.init.constant_(layer.weight, rank + 1.0)
    processes.share(layer)
    assert (layer.weight == 1).all()

def lose():
    with started("cpu") as processes:
        if processes.rank == 1:
            os._exit(0)  # as a process ends that was killed
        processes.sum([1.0])

if rank == 0:
    assert refused(lose).startswith("process 0 of 2: lost the connection to another one: ")
else:
    lose()
"""


def test_what_processes_agree_on(tmp_path: Path, torchrun: Torchrun) -> None:
    script = tmp_path / "worker.py"
    script.write_text(AGREEMENTS)
    running = torchrun(script)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors


SOURCE = "solids,edge=8,classes=3,per_class=20"


def train(torchrun: Torchrun, config: Path, run: Path, *options: str) -> subprocess.Popen[str]:
    return torchrun("-m", "qtt_hw", "train", config, "--data", SOURCE, "--out", run, *options)


@pytest.fixture(scope="module")
def longer(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert config.source is not None
    path = tmp_path_factory.mktemp("longer") / "longer.toml"
    content = config.source.read_text().replace("epochs = 4", "epochs = 12")
    path.write_text(content.replace("[teacher]\ndense = true\nepochs = 2\nbatch = 8\n", ""))
    return path


@pytest.mark.long
def test_a_run_of_two_is_stopped_and_goes_on_to_the_same_bits(longer: Path, tmp_path: Path, torchrun: Torchrun) -> None:
    whole, cut = RunStore(tmp_path / "whole"), RunStore(tmp_path / "cut")
    running = train(torchrun, longer, whole.folder, "--json")
    output, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    assert len(output.splitlines()) == 1  # one process prints
    result = json.loads(output)
    del result["dataset"]  # what was read, which the run does not record
    assert result["processes"] == 2 and result == json.loads(whole.result.read_text())
    assert len(whole.log.read_text().splitlines()) == 2 + 12

    running = train(torchrun, longer, cut.folder)
    deadline = time.monotonic() + 200
    while not (cut.log.exists() and '"quantized"' in cut.log.read_text()):
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()[1]
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=60)  # ends when both processes' pipes are closed
    assert running.returncode != 0
    assert errors.count("stopped by SIGTERM; the same command goes on from here") == 2
    metadata = load_tensors(cut.checkpoint)[1]
    assert metadata["phase"] == 1 and 0 < metadata["counters"]["step"] < 72 and not cut.result.exists()

    # One process does not go on with what two began.
    with pytest.raises(ValueError, match=r"cut: was started with another processes \(2, now null\); use a new folder"):
        qtt_hw.train(longer, SOURCE, cut.folder)

    running = train(torchrun, longer, cut.folder)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    for phase in ("float", "quantized"):
        ours, theirs = cut.load_model(phase), whole.load_model(phase)
        assert ours[1] == theirs[1] and ours[0].keys() == theirs[0].keys()
        assert all(torch.equal(ours[0][name], theirs[0][name]) for name in ours[0])
    assert not list(cut.folder.glob(".*.tmp"))


def test_a_process_alone() -> None:
    assert ALONE == Processes() and ALONE.first and not ALONE.several
    assert ALONE.part(9) == slice(0, 9) and ALONE.sum([0.1, 2]) == [0.1, 2]
    assert ALONE.from_first(lambda: b"x") == b"x" and ALONE.stopped_by(None) is None
    layer = nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    ALONE.sum_gradients(layer)
    assert layer.weight.grad is not None and (layer.weight.grad == 1).all()
