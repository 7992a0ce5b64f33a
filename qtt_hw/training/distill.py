"""The training loss: cross-entropy, and the divergence from teachers where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Loss"]


@dataclass(frozen=True, eq=False)
class Loss:
    """(1 - w) * cross-entropy + w * T^2 * KL(mean over teachers of softmax(z / T) || softmax(logits / T)).

    Parameters
    ----------
    label_smoothing : float
    teachers : sequence of nn.Module
        Asked in eval mode on the same augmented inputs; none leaves the cross-entropy.
    temperature, weight : float
        T and w.
    """

    label_smoothing: float = 0.0
    teachers: Sequence[nn.Module] = ()
    temperature: float = 1.0
    weight: float = 0.0

    def __call__(self, x: Tensor, logits: Tensor, y: Tensor) -> Tensor:
        loss = F.cross_entropy(logits, y, label_smoothing=self.label_smoothing)
        if not self.teachers or not self.weight:
            return loss
        t = self.temperature
        with torch.no_grad():
            wanted = torch.stack([F.softmax(teacher(x).float() / t, dim=1) for teacher in self.teachers]).mean(dim=0)
        divergence = F.kl_div(F.log_softmax(logits / t, dim=1), wanted, reduction="batchmean")
        return (1 - self.weight) * loss + self.weight * t * t * divergence
