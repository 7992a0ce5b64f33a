"""How well logits tell classes: loss and accuracy of samples, and their differences, with standard errors."""

from __future__ import annotations

import math

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from qtt_hw.data import Samples

__all__ = ["Change", "Level", "Scores", "decibels"]


class Level(BaseModel):
    """Mean cross-entropy and accuracy of some samples, each with its standard error."""

    model_config = ConfigDict(frozen=True)

    loss: float
    loss_error: float
    accuracy: float
    accuracy_error: float


class Change(BaseModel):
    """Loss and accuracy less those of a reference on the same samples, with the standard errors of the differences.

    Attributes
    ----------
    snr : float, optional
        Signal to noise of the logits against the reference's, in dB; None where they are the same.
    """

    model_config = ConfigDict(frozen=True)

    loss: float
    loss_error: float
    accuracy: float
    accuracy_error: float
    snr: float | None


class Scores:
    """Losses and hits of logits on some samples."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self._y = torch.from_numpy(samples.y)

    def _scored(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Of each sample: its cross-entropy, and 1 where the greatest logit, the lowest in a tie, is its class."""
        loss = torch.nn.functional.cross_entropy(logits.double(), self._y, reduction="none")
        right = torch.from_numpy(logits.numpy().argmax(axis=1) == self.samples.y)
        return loss, right.double()

    def level(self, logits: Tensor) -> Level:
        loss, right = map(_mean, self._scored(logits))
        return Level(loss=loss[0], loss_error=loss[1], accuracy=right[0], accuracy_error=right[1])

    def change(self, logits: Tensor, reference: Tensor) -> Change:
        pairs = zip(self._scored(logits), self._scored(reference), strict=True)
        loss, right = (_mean(now - before) for now, before in pairs)
        snr = decibels(float(reference.double().square().sum()), float((logits - reference).double().square().sum()))
        return Change(loss=loss[0], loss_error=loss[1], accuracy=right[0], accuracy_error=right[1], snr=snr)


def _mean(values: Tensor) -> tuple[float, float]:
    """Mean and its standard error; of a single value without one."""
    return float(values.mean()), float(values.std(correction=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def decibels(signal: float, noise: float) -> float | None:
    """Signal to noise of their energies; None where there is none of either."""
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else None
