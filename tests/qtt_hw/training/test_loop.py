"""Runs: interrupted at any step and gone on with, they end with the same bits."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qtt_hw.data import Splits
from qtt_hw.folders import BUILD, COMPRESSION, DEMONSTRATION, MARKER, claim
from qtt_hw.locks import Busy
from qtt_hw.progress import Progress
from qtt_hw.training import Interrupted, train
from qtt_hw.training.checkpoint import load_tensors
from qtt_hw.training.config import Config, load_config
from qtt_hw.training.store import RunStore

PHASES = ("teacher", "float", "quantized")


class Killed(BaseException):
    """Ends training as a kill does: nothing that handles errors runs."""


def at(phase: str, at_step: int, act: Callable[[], None]) -> Progress:
    def told(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        if (step, done) == (f"train: {phase}", at_step):
            act()

    return told


def kill() -> None:
    raise Killed


@dataclass(frozen=True)
class Sealed(Splits):
    """A data set whose test samples cannot be read."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("test", "unseen", "test_unseen"):
            raise AssertionError("training read the test set")
        return super().__getattribute__(name)


@pytest.fixture(scope="module")
def sealed(solids: Splits) -> Splits:
    return Sealed(solids.train, solids.validation, solids.test, solids.labels, solids.name)


@pytest.fixture(scope="module")
def whole(config: Config, sealed: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    train(config, sealed, run)
    return run


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(item) for key, item in value.items() if key not in ("seconds", "run")}
    return value


def log_of(run: Path) -> list[dict[str, Any]]:
    return [without_seconds(json.loads(line)) for line in RunStore(run).log.read_text().splitlines()]


def assert_same(run: Path, whole: Path) -> None:
    for phase in PHASES:
        ours, theirs = RunStore(run).load_model(phase), RunStore(whole).load_model(phase)
        assert ours[1] == theirs[1] and set(ours[0]) == set(theirs[0])
        assert all(torch.equal(ours[0][name], theirs[0][name]) for name in ours[0])
    ours, theirs = load_tensors(RunStore(run).checkpoint)[0], load_tensors(RunStore(whole).checkpoint)[0]
    assert set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert log_of(run) == log_of(whole)
    results = [without_seconds(json.loads(RunStore(folder).result.read_text())) for folder in (run, whole)]
    assert results[0] == results[1]


def test_the_whole_run(whole: Path) -> None:
    result = json.loads(RunStore(whole).result.read_text())
    assert list(result["phases"]) == list(PHASES)
    assert result["phases"]["quantized"]["validation_accuracy"] == result["validation_accuracy"] > 0.4
    assert [row["phase"] for row in log_of(whole)] == ["teacher"] * 2 + ["float"] * 2 + ["quantized"] * 4
    state = RunStore(whole).load_model("quantized")[0]
    assert state["phase"].tolist() == [1, 1, 1]
    assert not list(whole.glob("*.tmp")) and not list(whole.glob(".*.tmp"))


# 54 samples in batches of 8 are 6 steps an epoch: none of these is the end of an epoch or a checkpoint's step. In
# the quantised phase scales freeze before step 12 and statistics before step 18.
POINTS = [("teacher", 9), ("float", 7), ("quantized", 3), ("quantized", 13), ("quantized", 21)]


def test_killed_in_the_middle_of_an_epoch_of_each_phase(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for phase, step in POINTS:
        with pytest.raises(Killed):
            train(config, sealed, run, progress=at(phase, step, kill))
    train(config, sealed, run)
    assert_same(run, whole)


@pytest.mark.parametrize("step", [1, 4, 6, 12, 18, 24])
def test_killed_beside_checkpoints_and_milestones(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path, step: int
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train(config, sealed, run, progress=at("quantized", step, kill))
    train(config, sealed, run)
    assert_same(run, whole)


def test_killed_between_an_epochs_log_line_and_its_checkpoint(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    append = RunStore.append_log

    def append_and_die(self: RunStore, row: dict[str, Any]) -> None:
        append(self, row)
        if (row["phase"], row["epoch"]) == ("float", 1):
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunStore, "append_log", append_and_die)
        train(config, sealed, run)
    assert len(log_of(run)) == 4
    train(config, sealed, run)
    assert_same(run, whole)


CHILD = """
import os, signal, sys
from qtt_hw.data import load
from qtt_hw.training import train
def progress(step, done, total, text):
    if (step, done) == ("train: quantized", 15):
        os.kill(os.getpid(), signal.SIGKILL)
train(sys.argv[1], load("solids:8", classes=3, per_class=20), sys.argv[2], progress=progress)
"""


def test_kill_9_of_another_process(config: Config, sealed: Splits, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    child = subprocess.run([sys.executable, "-c", CHILD, str(config.source), str(run)], capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    train(config, sealed, run)
    assert_same(run, whole)


def test_of_two_in_one_folder_the_second_is_refused_and_the_first_goes_on(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    refused: list[str] = []

    def second() -> None:
        with pytest.raises(Busy) as busy:
            train(config, sealed, run)
        refused.append(str(busy.value))

    train(config, sealed, run, progress=at("float", 7, second))
    (line,) = refused
    assert line.startswith(f"{run}: process {os.getpid()} on ") and line.endswith(" works on it")
    assert_same(run, whole)
    assert not list(run.glob(".*.lock")), "nobody holds a finished run"


def test_a_folder_of_another_kind_is_refused(config: Config, sealed: Splits, tmp_path: Path) -> None:
    for kind in (COMPRESSION, DEMONSTRATION, BUILD):
        claim(tmp_path / kind.name, kind, "")
        message = f"^{tmp_path / kind.name}: exists and is {kind.title}, not a training run; choose another name$"
        with pytest.raises(ValueError, match=message):
            train(config, sealed, tmp_path / kind.name)
    (tmp_path / "mine").mkdir()
    for text in ('["mine"]', '{"version": 1}'):
        (tmp_path / "mine" / "run.json").write_text(text)
        with pytest.raises(ValueError, match="mine: is not empty and holds no run; use a new folder"):
            train(config, sealed, tmp_path / "mine")
        with pytest.raises(ValueError, match=r"mine/run.json: is not what qtt train writes"):
            RunStore(tmp_path / "mine").description()


def test_a_run_from_before_there_were_markers_goes_on(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train(config, sealed, run, progress=at("quantized", 13, kill))
    (run / MARKER).unlink()
    train(config, sealed, run)
    assert_same(run, whole)


def test_a_log_line_that_was_cut_in_the_middle_is_written_again(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train(config, sealed, run, progress=at("float", 7, kill))
    store = RunStore(run)
    lines = len(log_of(run))
    with store.log.open("a") as stream:
        stream.write('{"phase": "flo')
    store.append_log({"phase": "float"})
    assert len(log_of(run)) == lines + 1
    train(config, sealed, run)
    assert_same(run, whole)


def test_a_checkpoint_with_another_bit_is_not_gone_on_from(config: Config, sealed: Splits, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train(config, sealed, run, progress=at("float", 7, kill))
    content = bytearray(RunStore(run).checkpoint.read_bytes())
    content[-7] ^= 1
    RunStore(run).checkpoint.write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint.safetensors: its content does not match its digest"):
        train(config, sealed, run)


ALLOCATOR = """
import resource, sys
import torch
from qtt_hw.data import load
from qtt_hw.training import train
from qtt_hw.process import keep_freed_memory
def faults():
    for _ in range(2):  # the heap grows at first
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.ones(8 << 20)  # 32 MiB: by default mapped anew each time
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
train(sys.argv[1], load("solids:8", classes=3, per_class=20), sys.argv[2])
after = faults()
keep_freed_memory()
print(after, faults())
"""


def test_the_allocator_is_left_alone(config: Config, tmp_path: Path) -> None:
    assert config.source is not None
    short, text = tmp_path / "short.toml", config.source.read_text()
    short.write_text(text[: text.index("[teacher]")].replace("epochs = 2", "epochs = 0"))
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATOR, short, tmp_path / "run"], capture_output=True, text=True, check=True
    )
    left, kept = map(int, done.stdout.split())
    assert left > 20 * 512 > 4 * kept  # pages may be huge


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_a_checkpoint_of_that_very_step(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Interrupted, match=f"stopped by {number.name}") as stopped:
        train(config, sealed, run, progress=at("float", 3, lambda: os.kill(os.getpid(), number)))
    assert stopped.value.number == number
    metadata = load_tensors(RunStore(run).checkpoint)[1]
    assert metadata["phase"] == 1 and metadata["counters"]["step"] == 3
    train(config, sealed, run)
    assert_same(run, whole)


def test_a_finished_run_is_not_trained_again(config: Config, sealed: Splits, whole: Path) -> None:
    def never(phase: str, step: int, steps: int, text: str) -> None:
        raise AssertionError

    before = RunStore(whole).result.read_bytes()
    result = train(config, sealed, whole, progress=never)
    assert json.loads(before)["phases"] == json.loads(result.model_dump_json())["phases"]


def test_resuming_refuses_another_configuration_or_data(
    config: Config, sealed: Splits, solids: Splits, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"run: was started with another config.train.seed \(0, now 1\)"):
        train(config.with_seed(1), sealed, whole)
    fewer = Splits(solids.train, solids.train, solids.test, solids.labels, solids.name)
    with pytest.raises(ValueError, match="was started with another data_digest.validation"):
        train(config, fewer, whole)
    (tmp_path / "a").write_text("b")
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        train(config, sealed, tmp_path)


def test_another_seed_gives_other_weights(config: Config, sealed: Splits, whole: Path, tmp_path: Path) -> None:
    other = config.with_seed(1).model_copy(update={"quant": None, "teacher": None})
    train(other, sealed, tmp_path / "run")
    ours, theirs = RunStore(tmp_path / "run").load_model("float")[0], RunStore(whole).load_model("float")[0]
    assert not torch.equal(ours["features.block1.conv.weight"], theirs["features.block1.conv.weight"])


def test_start_takes_the_float_models_of_another_run(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path
) -> None:
    result = train(config, sealed, tmp_path / "same", start=whole)
    assert list(result.phases) == ["quantized"]
    ours, theirs = RunStore(tmp_path / "same").load_model("quantized")[0], RunStore(whole).load_model("quantized")[0]
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    wider = config.model_copy(update={"model": config.model.model_copy(update={"args": {"widths": [4, 8]}})})
    with pytest.raises(ValueError, match="holds another network"):
        train(wider, sealed, tmp_path / "other", start=whole)
    with pytest.raises(ValueError, match="holds no run.json"):
        train(config, sealed, tmp_path / "none", start=tmp_path)


def test_autocast_changes_the_float_phases_alone(config: Config, sealed: Splits, whole: Path, tmp_path: Path) -> None:
    half = config.model_copy(update={"train": config.train.model_copy(update={"autocast": True})})
    train(half, sealed, tmp_path / "half")
    train(half, sealed, tmp_path / "started", start=whole)
    ours, theirs = RunStore(tmp_path / "half"), RunStore(whole)
    for phase in ("teacher", "float"):
        found, before = ours.load_model(phase)[0], theirs.load_model(phase)[0]
        assert any(not torch.equal(found[name], before[name]) for name in found)
    found, before = (store.load_model("quantized")[0] for store in (RunStore(tmp_path / "started"), theirs))
    assert all(torch.equal(found[name], before[name]) for name in found)


def test_no_epochs_of_quantised_training_is_calibration_alone(
    config: Config, sealed: Splits, whole: Path, tmp_path: Path
) -> None:
    assert config.quant is not None
    plain = config.model_copy(update={"quant": config.quant.model_copy(update={"epochs": 0})})
    result = train(plain, sealed, tmp_path / "run", start=whole)
    assert result.phases["quantized"].epoch == -1
    assert RunStore(tmp_path / "run").load_model("quantized")[0]["phase"].tolist() == [1, 1, 1]


def test_an_infinite_loss_is_an_error(config: Config, sealed: Splits, tmp_path: Path) -> None:
    wild = config.train.model_copy(update={"lr": 1e30, "optimizer": "sgd", "warmup": 0.0})
    with pytest.raises(ValueError, match=r"float: the loss is not finite in epoch 0, step \d; lower lr 1e\+30"):
        train(config.model_copy(update={"train": wild, "teacher": None}), sealed, tmp_path / "run")


def test_a_network_that_is_not_finite_is_an_error_before_the_first_epoch(sealed: Splits, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def Net():\n"
        "    net = nn.Sequential(nn.Conv3d(1, 4, 8), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(4, 3))\n"
        "    net[1].running_mean[2] = float('nan')\n"
        "    return net\n"
    )
    (tmp_path / "c.toml").write_text('model = { name = "net.py:Net" }\ntrain = { epochs = 1 }\n')
    with pytest.raises(
        ValueError, match=r"^net.py:Net: 1.running_mean holds a value that is not finite, first in ch.* 2;"
    ):
        train(load_config(tmp_path / "c.toml"), sealed, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_accelerator(config: Config, sealed: Splits, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="accelerator must be cpu or cuda, got 'gpu'"):
        train(config, sealed, tmp_path / "run", accelerator="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="finds no CUDA device"):
            train(config, sealed, tmp_path / "run", accelerator="cuda")


def test_global_settings_come_back(config: Config, sealed: Splits, whole: Path, tmp_path: Path) -> None:
    def settings() -> tuple[Any, ...]:
        return (
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.allow_tf32,
            torch.random.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            random.getstate(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            np.geterr(),
            list(warnings.filters),
            dict(os.environ),
            list(sys.path),
            Path.cwd(),
            *(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
        )

    before = settings()
    with pytest.raises(Killed):
        train(config, sealed, tmp_path / "run", progress=at("teacher", 2, kill))
    assert settings() == before
