"""Optimizers and learning rates: each step's rate is a pure function of its number, so nothing has to be restored."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

__all__ = ["build_optimizer", "rate", "set_rates"]

#: The first and the last learning rate of a schedule, as shares of the largest.
START, END = 0.1, 1e-3


def rate(step: int, steps: int, schedule: Literal["cosine", "one-cycle", "constant"], warmup: float) -> float:
    """The share of the largest learning rate at step 0 <= step < steps.

    After a linear (cosine) or cosine-shaped (one-cycle) rise over `warmup` of the steps a cosine falls to END;
    `constant` stays at 1 after a linear rise.
    """
    rising = warmup * steps
    if step < rising:
        risen = step / rising
        if schedule == "one-cycle":
            risen = (1 - math.cos(math.pi * risen)) / 2
        return START + (1 - START) * risen
    if schedule == "constant":
        return 1.0
    fallen = (step - rising) / max(steps - 1 - rising, 1)
    return END + (1 - END) * (1 + math.cos(math.pi * min(fallen, 1.0))) / 2


def build_optimizer(
    model: nn.Module,
    kind: Literal["adamw", "sgd"],
    lr: float,
    weight_decay: float,
    momentum: float,
    scales: Iterable[nn.Parameter] = (),
    scale_lr: float = 0.0,
) -> torch.optim.Optimizer:
    """The optimizer with three groups: matrices and kernels decay, vectors do not, scales have their own rate."""
    own = {id(parameter) for parameter in scales}
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if id(p) not in own and p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) not in own and p.dim() <= 1], "weight_decay": 0.0},
        {"params": [p for p in parameters if id(p) in own], "weight_decay": 0.0, "lr": scale_lr},
    ]
    groups = [group for group in groups if group["params"]]
    if kind == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=lr)
    else:
        optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)
    for group in optimizer.param_groups:
        group["largest_lr"] = group["lr"]
    return optimizer


def set_rates(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Set every group's learning rate to a share of its largest."""
    for group in optimizer.param_groups:
        group["lr"] = group["largest_lr"] * share
