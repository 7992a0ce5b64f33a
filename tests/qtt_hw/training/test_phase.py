"""One phase on its own: random layers, milestones and which epoch is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from qtt_hw.data import Augmentation, Splits
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.nn.planar import squeezing_depth
from qtt_hw.training import phase as phase_module
from qtt_hw.training.batches import Batches
from qtt_hw.training.checkpoint import load_tensors
from qtt_hw.training.distill import Loss
from qtt_hw.training.graphs import graphed
from qtt_hw.training.phase import Milestone, Phase
from qtt_hw.training.sections import TrainConfig
from qtt_hw.training.stop import StopSignals
from qtt_hw.training.store import RunStore


class Killed(BaseException):
    pass


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(512, 3))


def phase(splits: Splits, *, autocast: bool = False, **options: Any) -> Phase:
    how = TrainConfig(epochs=3, batch=16, lr=1e-2, **options)
    spec = input_spec(splits.train.sample_shape, 2)
    batches = Batches(splits.train, spec, Augmentation(), how.batch, 7, torch.device("cpu"))
    return Phase("p", network(), how, batches, splits.validation, Loss(), checkpoint_steps=2, autocast=autocast)


def store(folder: Path) -> RunStore:
    folder.mkdir()
    return RunStore(folder)


@pytest.mark.parametrize("autocast", [False, True])
def test_random_layers_resume_to_the_same_bits(solids: Splits, tmp_path: Path, autocast: bool) -> None:
    whole = phase(solids, autocast=autocast)
    whole.run(store(tmp_path / "a"), {}, None, StopSignals())

    def kill(name: str, step: int, steps: int, text: str) -> None:
        if step == 5:
            raise Killed

    killed, cut = store(tmp_path / "b"), phase(solids, autocast=autocast)
    with pytest.raises(Killed):
        cut.run(killed, {}, None, StopSignals(), kill)
    tensors, metadata = load_tensors(killed.checkpoint)
    assert metadata["counters"]["step"] == 4
    torch.manual_seed(123)
    resumed = phase(solids, autocast=autocast)
    resumed.run(killed, {}, (tensors, metadata["counters"]), StopSignals())
    assert torch.equal(resumed.model[2].weight, whole.model[2].weight)


@pytest.mark.parametrize("autocast", [False, True])
def test_autocast_is_for_layers_in_training_alone(solids: Splits, tmp_path: Path, autocast: bool) -> None:
    made = phase(solids, autocast=autocast)
    seen: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    made.model[2].register_forward_hook(lambda module, x, y: seen[module.training].add(y.dtype))
    losses = set()

    def loss(x: torch.Tensor, scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        losses.add((scores.dtype, Loss()(x, scores, y).dtype))
        return Loss()(x, scores, y)

    made.loss = loss
    made.run(store(tmp_path / "a"), {}, None, StopSignals())
    assert seen == {True: {torch.bfloat16 if autocast else torch.float32}, False: {torch.float32}}
    assert losses == {(torch.float32, torch.float32)}
    assert made.model[2].weight.dtype == torch.float32


def test_a_milestone_happens_once_before_its_step_and_restarts_the_average(solids: Splits, tmp_path: Path) -> None:
    made = phase(solids, ema=0.999)
    before: list[int] = []
    steps: list[int] = [0]

    def act() -> None:
        before.append(steps[0])
        with torch.no_grad():
            made.model[2].weight.fill_(100.0)

    def progress(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        assert (step, total) == ("train: p", 9)
        steps[0] = int(done)

    made.milestones = (Milestone(8, act),)
    made.run(store(tmp_path / "a"), {}, None, StopSignals(), progress)
    assert before == [8] and made.steps == 9
    kept = RunStore(tmp_path / "a").load_model("p")[0]["2.weight"]
    assert (kept > 90).all()  # an average that went on would still be mostly what came before


@pytest.mark.parametrize(
    "select, milestone, expected", [("last", None, 2), ("best", None, 1), ("best", 6, 2), ("best", 3, 1)]
)
def test_which_epoch_is_kept(
    solids: Splits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    select: str,
    milestone: int | None,
    expected: int,
) -> None:
    found = iter([0.9, 0.8, 0.7] if milestone == 6 else [0.7, 0.9, 0.8])
    monkeypatch.setattr(phase_module, "accuracies", lambda *arguments: (next(found), 0.5))
    made = phase(solids, select=select)
    if milestone is not None:
        made.milestones = (Milestone(milestone, lambda: None),)
    result = made.run(store(tmp_path / "a"), {}, None, StopSignals())
    assert result["epoch"] == expected
    assert RunStore(tmp_path / "a").load_model("p")[1]["epoch"] == expected


def test_no_epochs_keep_the_model_as_it_is(solids: Splits, tmp_path: Path) -> None:
    made = phase(solids)
    made.how = TrainConfig(epochs=0)
    assert made.run(store(tmp_path / "a"), {}, None, StopSignals())["epoch"] == -1
    assert torch.equal(RunStore(tmp_path / "a").load_model("p")[0]["2.weight"], network()[2].weight)


def test_gradients_are_clipped(solids: Splits, tmp_path: Path) -> None:
    moved = []
    for index, clip in enumerate((None, 1e-6)):
        made = phase(solids, optimizer="sgd", momentum=0.0, clip=clip)
        made.run(store(tmp_path / str(index)), {}, None, StopSignals())
        moved.append(float((made.model[2].weight - network()[2].weight).detach().norm()))
    assert moved[0] > 1e-3 and moved[1] < 1e-6


def test_where_the_loss_is_looked_at_seldom_the_log_is_the_same(
    solids: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses(name: str) -> list[tuple[float, float]]:
        made = store(tmp_path / name)
        phase(solids).run(made, {}, None, StopSignals())
        lines = map(json.loads, made.log.read_text().splitlines())
        return [(round(line["loss"], 9), line["train_accuracy"]) for line in lines]

    always = losses("always")
    monkeypatch.setattr(phase_module, "steps_apart", lambda device: 7)
    assert losses("seldom") == always and len(always) == 3


@pytest.mark.parametrize("planar", [False, True])
def test_graphs_leave_the_model_as_it_was(monkeypatch: pytest.MonkeyPatch, planar: bool) -> None:
    """There is no CUDA device here: what stands in for capturing warms up as that does, and refuses what it refuses."""
    model: nn.Module = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2)).train()
    if planar:  # which has a hook that squeezes the depth
        model = squeezing_depth(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shapes = []

    def capture(module: nn.Module, examples: tuple[torch.Tensor, ...]) -> None:
        assert not module._forward_pre_hooks
        shapes.extend(list(example.shape) for example in examples)
        module(*examples).sum().backward()

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture)
    x = torch.randn(4, 1, 1, 2, 2)
    graphed(model, x, False)
    assert shapes == [[4, 1, 2, 2] if planar else [4, 1, 1, 2, 2]]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model(x).shape[1] == 2  # the hook is back
