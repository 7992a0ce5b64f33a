"""Optimizers and learning rates: each step's rate is a pure function of its number, so nothing has to be restored."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

__all__ = ["Schedule", "build_optimizer", "set_rates"]

#: The first and the last learning rate of a schedule, as shares of the largest.
START, END = 0.1, 1e-3


Kind = Literal["cosine", "one-cycle", "constant", "steps", "exp-range"]


@dataclass(frozen=True)
class Schedule:
    """The learning rate over a phase, as a share of the largest.

    After a linear rise (one-cycle: cosine-shaped) over `warmup` of the steps: `cosine` and `one-cycle` fall by a cosine
    to END, `constant` stays at 1, `steps` falls to `drop` of what it was at each share of the steps in `drops`.
    `exp-range` rises and falls linearly between `base` and a top that itself falls, `cycles` times and without warmup;
    the top ends at `base` plus `fade` of where it began.

    References
    ----------
    Smith, "Cyclical learning rates for training neural networks", WACV 2017, for `exp-range`.
    """

    kind: Kind = "one-cycle"
    warmup: float = 0.0
    drops: tuple[float, ...] = ()
    drop: float = 0.1
    cycles: float = 4.0
    base: float = 0.1
    fade: float = 0.1

    def rate(self, step: int, steps: int) -> float:
        """The share at step 0 <= step < steps."""
        if self.kind == "exp-range":
            place = step * self.cycles / steps
            height = 1.0 - abs(2.0 * (place - math.floor(place)) - 1.0)
            return self.base + (1.0 - self.base) * height * self.fade ** (step / steps)
        rising = self.warmup * steps
        if step < rising:
            risen = step / rising
            if self.kind == "one-cycle":
                risen = (1 - math.cos(math.pi * risen)) / 2
            return START + (1 - START) * risen
        if self.kind == "constant":
            return 1.0
        if self.kind == "steps":
            return self.drop ** sum(step >= share * steps for share in self.drops)
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
    nesterov: bool = True,
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
        fused = bool(parameters) and all(parameter.is_cuda for parameter in parameters)
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=lr, fused=fused or None)
    else:
        optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0)
    for group in optimizer.param_groups:
        group["largest_lr"] = group["lr"]
    return optimizer


def set_rates(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Set every group's learning rate to a share of its largest."""
    for group in optimizer.param_groups:
        group["lr"] = group["largest_lr"] * share
