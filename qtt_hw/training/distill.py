"""The training loss: cross-entropy, and the divergence from teachers where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Loss", "balanced"]


@dataclass(frozen=True, eq=False)
class Loss:
    """(1 - w) * cross-entropy + w * T^2 * KL(mean over teachers of softmax(z / T) || softmax(logits / T)).

    Parameters
    ----------
    label_smoothing : float
    offsets : Tensor, optional
        Added to the logits in the cross-entropy: `balanced`'s.
    teachers : sequence of nn.Module
        Asked in eval mode on the same augmented inputs; none leaves the cross-entropy.
    temperature, weight : float
        T and w.
    """

    label_smoothing: float = 0.0
    teachers: Sequence[nn.Module] = ()
    temperature: float = 1.0
    weight: float = 0.0
    offsets: Tensor | None = None

    def __call__(self, x: Tensor, logits: Tensor, y: Tensor) -> Tensor:
        scores = logits if self.offsets is None else logits + self.offsets
        loss = F.cross_entropy(scores, y, label_smoothing=self.label_smoothing)
        if not self.teachers or not self.weight:
            return loss
        t = self.temperature
        with torch.no_grad():
            wanted = torch.stack([F.softmax(teacher(x).float() / t, dim=1) for teacher in self.teachers]).mean(dim=0)
        divergence = F.kl_div(F.log_softmax(logits / t, dim=1), wanted, reduction="batchmean")
        return (1 - self.weight) * loss + self.weight * t * t * divergence


def balanced(y: Tensor, classes: int, share: float) -> Tensor | None:
    """`share` times the logarithm of each class's share of the labels; None for none.

    Added to the logits while training, the network learns what is left when the frequencies are known: its own logits
    are those of equally frequent classes where the share is 1.
    """
    if not share:
        return None
    counts = torch.bincount(y, minlength=classes).clamp(min=1).to(torch.float32)
    return share * (counts / counts.sum()).log()
