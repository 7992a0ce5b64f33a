"""One phase: a model optimised for some epochs, which can stop after any step and go on later to the same result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from qtt_hw.data import Samples
from qtt_hw.progress import Progress, silent
from qtt_hw.training.average import Average
from qtt_hw.training.batches import Batches, derived_seed
from qtt_hw.training.checkpoint import optimizer_state, restore_optimizer
from qtt_hw.training.graphs import graphed
from qtt_hw.training.measure import accuracies
from qtt_hw.training.orientation import Orientation
from qtt_hw.training.processes import ALONE, Processes, join_batch_norms
from qtt_hw.training.resident import Resident
from qtt_hw.training.schedule import build_optimizer, set_rates
from qtt_hw.training.sections import Optimisation
from qtt_hw.training.stop import Interrupted, StopSignals
from qtt_hw.training.store import RunStore

__all__ = ["Milestone", "Phase"]


def steps_apart(device: torch.device) -> int:
    """Steps from one look at the loss to the next: a look waits for the device."""
    return 1 if device.type == "cpu" else 25


@dataclass(frozen=True)
class Milestone:
    """A change of the model before a given step, which its state then carries."""

    step: int
    act: Callable[[], None]


@dataclass(eq=False)
class Phase:
    """What is optimised, on what, and how.

    Parameters
    ----------
    name : str
    model : nn.Module
    how : Optimisation
        A section of the configuration.
    batches : Batches
    validation : Samples
        Decides which epoch is kept; nothing else is looked at.
    loss : callable
        (inputs, logits, classes) to the scalar that is minimised.
    milestones : sequence of Milestone
        In the order of their steps.
    scales : sequence of Parameter
        Trained at `scale_lr`, without decay.
    checkpoint_steps : int
    graphs : bool
        On CUDA, run the model's passes as CUDA graphs.
    orientation : Orientation, optional
        Trained beside the model, and dropped at the end.
    resident : Resident, optional
        The validation samples on the device, where they are.
    describe : callable, optional
        More fields of each epoch's log line.
    """

    name: str
    model: nn.Module
    how: Optimisation
    batches: Batches
    validation: Samples
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    milestones: Sequence[Milestone] = ()
    scales: Sequence[nn.Parameter] = ()
    scale_lr: float = 0.0
    checkpoint_steps: int = 200
    autocast: bool = False
    graphs: bool = False
    processes: Processes = ALONE
    orientation: Orientation | None = None
    resident: Resident | None = None
    describe: Callable[[], dict[str, Any]] = field(default=dict)

    @property
    def steps(self) -> int:
        return self.how.epochs * self.batches.per_epoch

    def run(
        self,
        store: RunStore,
        context: dict[str, Any],
        resume: tuple[dict[str, Tensor], dict[str, Any]] | None,
        stop: StopSignals,
        progress: Progress = silent,
    ) -> dict[str, Any]:
        """Optimise to the end, and leave the selected model in the store.

        Parameters
        ----------
        store : RunStore
        context : dict
            What a checkpoint says besides this phase's own counters: which phase it is, and what came before.
        resume : (tensors, counters), optional
            Of this phase's checkpoint.
        stop : StopSignals
        progress : Progress
            Told of every step.

        Returns
        -------
        dict
            validation_accuracy, validation_balanced, epoch (of the selected model), epochs, seconds, parameters.
        """
        how, model, processes, device = self.how, self.model, self.processes, self.batches.device
        # All that is trained: the model, which is kept, and what only teaches it.
        whole = model if self.orientation is None else nn.ModuleDict({"network": model, "beside": self.orientation})
        if processes.several:
            join_batch_norms(model)
            processes.share(whole)
        optimizer = build_optimizer(
            whole, how.optimizer, how.lr, how.weight_decay, how.momentum, self.scales, self.scale_lr, how.nesterov
        )
        # Reading a value from a device waits for it, so that steps are counted there.
        running, apart = torch.zeros(2, dtype=torch.float64, device=device), steps_apart(device)
        pending = 0
        counters: dict[str, Any] = dict.fromkeys(("step", "milestones", "updates", "correct", "seen"), 0)
        counters |= {"seconds": 0.0, "loss": 0.0, "best": None}
        average = Average(model, how.ema)
        if resume is not None:
            tensors, counters = resume[0], dict(resume[1])
            whole.load_state_dict(_part(tensors, "model/"))
            restore_optimizer(optimizer, whole, _part(tensors, "optimizer/"))
            average.updates = counters["updates"]
            average.state = _part(tensors, "average/")
            if average.decay:
                average = _on_device(average, model)
        started = time.perf_counter() - counters["seconds"]

        def checkpoint() -> None:
            counters.update(updates=average.updates, seconds=time.perf_counter() - started)
            store.save_checkpoint(
                _named("model/", whole.state_dict())
                | _named("optimizer/", optimizer_state(optimizer, whole))
                | _named("average/", average.state),
                {**context, "counters": counters},
            )

        def settle(epoch: int, step: int) -> None:
            """Add what has been counted on the device since the last time."""
            nonlocal pending
            if not pending:
                return
            value, correct = processes.sum(running.tolist())
            running.zero_()
            pending = 0
            if not value == value or value in (float("inf"), float("-inf")):
                raise ValueError(
                    f"{self.name}: the loss is not finite in epoch {epoch}, step {step}; lower lr {how.lr}"
                )
            counters["loss"] += value
            counters["correct"] += int(correct)

        def reach(step: int) -> None:
            while counters["milestones"] < len(self.milestones):
                milestone = self.milestones[counters["milestones"]]
                if step < min(milestone.step, self.steps):
                    return
                milestone.act()
                self.processes.share(model)
                # The average of what came before would mix two kinds of model.
                average.restart(model)
                counters["milestones"] += 1

        if resume is None:
            checkpoint()
        per_epoch = self.batches.per_epoch
        order = None
        model.train()
        if self.graphs and device.type == "cuda" and not processes.several and counters["step"] < self.steps:
            graphed(model, self.batches.make(0, 0)[0], self.autocast)
        for step in range(counters["step"], self.steps):
            epoch, index = divmod(step, per_epoch)
            if order is None or index == 0:
                order = self.batches.order(epoch)
            reach(step)
            # Random layers draw for each process's part of the batch on its own.
            parts = ("step", step) if processes.first else ("step", step, processes.rank)
            torch.manual_seed(derived_seed(self.batches.seed, *parts))
            x, y = self.batches.make(epoch, index, order)
            share = how.rates.rate(step, self.steps)
            set_rates(optimizer, share)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast):
                scores = model(x)
                loss = self.loss(x, scores.float() if self.autocast else scores, y)
                if self.orientation is not None:
                    loss = loss + self.orientation(self.batches.turned(epoch, index, order))
            optimizer.zero_grad(set_to_none=True)
            if processes.several:  # the joined batch's mean is the sum of its parts' weighted means
                loss = loss * (len(y) / self.batches.size)
            loss.backward()  # type: ignore[no-untyped-call]
            processes.sum_gradients(whole)
            if how.clip is not None:
                nn.utils.clip_grad_norm_(whole.parameters(), how.clip)
            optimizer.step()
            average.update(model)
            running[0] += loss.detach()
            running[1] += (scores.detach().argmax(dim=1) == y).sum()
            counters["step"] = step + 1
            counters["seen"] += self.batches.size
            pending += 1
            if pending == apart or index == per_epoch - 1:
                settle(epoch, step)
            progress(f"train: {self.name}", step + 1, self.steps, f"loss {counters['loss'] / (index + 1):.3f}")
            received = processes.stopped_by(stop.received)
            if index == per_epoch - 1:
                with average.applied(model):
                    self._end_epoch(store, epoch, counters, share, time.perf_counter() - started)
                counters.update(loss=0.0, correct=0, seen=0)
                checkpoint()
                received = received or processes.stopped_by(stop.received)
            elif (step + 1) % self.checkpoint_steps == 0 or received is not None:
                settle(epoch, step)
                checkpoint()
            if received is not None:
                raise Interrupted(store.folder, received)
        if self.steps == 0:
            reach(0)
            with average.applied(model):
                self._keep(store, -1, counters)
        assert counters["best"] is not None
        return {
            "validation_accuracy": counters["best"]["validation_accuracy"],
            "validation_balanced": counters["best"].get("validation_balanced"),
            "epoch": counters["best"]["epoch"],
            "epochs": how.epochs,
            "seconds": round(time.perf_counter() - started, 3),
            "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        }

    def _end_epoch(self, store: RunStore, epoch: int, counters: dict[str, Any], share: float, seconds: float) -> None:
        """Validate, log, and keep the model if it is selected so far."""
        validated, balanced = self._keep(store, epoch, counters)
        store.append_log(
            {
                "phase": self.name,
                "epoch": epoch,
                "loss": counters["loss"] / self.batches.per_epoch,
                "train_accuracy": counters["correct"] / counters["seen"],
                "validation_accuracy": validated,
                "validation_balanced": balanced,
                "lr": self.how.lr * share,
                "seconds": round(seconds, 3),
                **self.describe(),
            }
        )

    def _keep(self, store: RunStore, epoch: int, counters: dict[str, Any]) -> tuple[float, float]:
        place = (self.batches.spec, self.batches.device, self.processes, self.resident)
        validated, balanced = accuracies(self.model, self.validation, *place)
        best = counters["best"]
        # Before the last milestone the model is not yet what it will be frozen to: such an epoch yields to any later.
        final = counters["milestones"] == len(self.milestones)
        if best is None or self.how.select == "last" or not best["final"] or validated >= best["validation_accuracy"]:
            counters["best"] = {"validation_accuracy": validated, "epoch": epoch, "final": final}
            counters["best"]["validation_balanced"] = balanced
            store.save_model(self.name, self.model.state_dict(), {"phase": self.name, **counters["best"]})
        return validated, balanced


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _on_device(average: Average, model: nn.Module) -> Average:
    """The average with its tensors on the model's device and in its memory order."""
    for name, value in model.state_dict().items():
        average.state[name] = torch.empty_like(value).copy_(average.state[name])
    return average
