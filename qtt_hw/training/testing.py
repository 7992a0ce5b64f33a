"""Accuracy on the test set, whole, without volumes of the training set, and by vote; training never calls it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtt_hw.data import Samples, Splits
from qtt_hw.data.rotations import ROTATIONS, rotate
from qtt_hw.graph import InputSpec
from qtt_hw.training.measure import logits

__all__ = ["float_accuracy", "voted_accuracy"]


def float_accuracy(model: nn.Module, splits: Splits, spec: InputSpec) -> tuple[float, float | None]:
    """(accuracy on the test set, accuracy on its unseen samples or None where all are)."""
    right = logits(model, splits.test, spec, torch.device("cpu")).numpy().argmax(axis=1) == splits.test.y
    unseen = splits.unseen
    return float(right.mean()), None if unseen.all() else float(right[unseen].mean())


def voted_accuracy(run: Callable[[NDArray[np.uint8]], NDArray], samples: Samples) -> float:
    """The share of volumes whose class has the greatest sum of logits over the twelve rotations about W.

    Parameters
    ----------
    run : callable
        Raw samples uint8 [N, D, H, W, C] to logits [N, classes].
    samples : Samples
    """
    total = sum(np.asarray(run(rotate(samples.x, k)), dtype=np.float64) for k in range(ROTATIONS))
    return float((np.asarray(total).argmax(axis=1) == samples.y).mean())
