"""Test accuracy of a float model, whole and without volumes of the training set; training never calls it."""

from __future__ import annotations

import torch
from torch import nn

from qtt_hw.data import Splits
from qtt_hw.graph import InputSpec
from qtt_hw.training.measure import logits

__all__ = ["float_accuracy"]


def float_accuracy(model: nn.Module, splits: Splits, spec: InputSpec) -> tuple[float, float | None]:
    """(accuracy on the test set, accuracy on its unseen samples or None where all are)."""
    right = logits(model, splits.test, spec, torch.device("cpu")).numpy().argmax(axis=1) == splits.test.y
    unseen = splits.unseen
    return float(right.mean()), None if unseen.all() else float(right[unseen].mean())
