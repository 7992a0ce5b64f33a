"""Accuracy of a torch model on raw samples, in eval mode and with exact float32."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from qtt_hw.data import Samples
from qtt_hw.graph import InputSpec
from qtt_hw.training.batches import to_tensor
from qtt_hw.training.processes import ALONE, Processes
from qtt_hw.training.resident import Resident

__all__ = ["accuracies", "accuracy", "logits", "refuse_inexact"]


def refuse_inexact() -> None:
    """Raise ValueError where autocast or TF32 would shorten the products of an evaluation."""
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        raise ValueError("evaluation refuses autocast: leave the autocast context")
    if torch.cuda.is_available() and (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32):
        raise ValueError("evaluation refuses TF32: set torch.backends.cudnn.allow_tf32 and .cuda.matmul.allow_tf32 off")


@torch.no_grad()
def logits(
    model: nn.Module,
    samples: Samples,
    spec: InputSpec,
    device: torch.device,
    batch: int = 128,
    resident: Resident | None = None,
) -> Tensor:
    """float32 [N, classes] in eval mode; the model's mode is restored. `resident` are the samples on the device."""
    refuse_inexact()
    training = model.training
    model.eval()
    try:
        parts = []
        for start in range(0, len(samples), batch):
            part = slice(start, start + batch)
            x = to_tensor(spec, samples.x[part], device) if resident is None else resident.inputs(spec, part)
            parts.append(model(x).float())
        found = torch.cat(parts).cpu()
    finally:
        model.train(training)
    return found


def accuracy(
    model: nn.Module, samples: Samples, spec: InputSpec, device: torch.device, processes: Processes = ALONE
) -> float:
    """The share of samples whose greatest logit, the lowest index in a tie, is their class.

    Several processes count in a part of the samples each.
    """
    return accuracies(model, samples, spec, device, processes)[0]


def accuracies(
    model: nn.Module,
    samples: Samples,
    spec: InputSpec,
    device: torch.device,
    processes: Processes = ALONE,
    resident: Resident | None = None,
) -> tuple[float, float]:
    """The same, and its mean over the classes that there are samples of, each counting alike."""
    part = samples
    if processes.several:
        chosen = processes.part(len(samples))
        part, resident = Samples(samples.x[chosen], samples.y[chosen]), None
    right = np.zeros(int(samples.y.max(initial=0)) + 1, dtype=np.int64)
    if len(part):
        # torch.argmax leaves open which of equal logits it returns; the hardware takes the lowest.
        hits = logits(model, part, spec, device, resident=resident).numpy().argmax(axis=1) == part.y
        right = np.bincount(part.y[hits], minlength=len(right))
    found = np.array(processes.sum(right.tolist()))
    sizes = np.bincount(samples.y, minlength=len(right))
    return float(found.sum() / len(samples)), float((found[sizes > 0] / sizes[sizes > 0]).mean())
