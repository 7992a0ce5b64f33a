"""What a run leaves in RUN/result.json, and the versions that it depends on."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from qtt_hw.version import __version__

__all__ = ["CompressedResult", "PhaseResult", "TrainResult", "versions"]


class CompressedResult(BaseModel):
    """The network after the last C step: `distance` is ||w - D(t)|| / ||w||, `ranks` are of what replaced a layer."""

    validation_accuracy: float
    parameters: int
    distance: float
    ranks: dict[str, tuple[int, ...]]


class PhaseResult(BaseModel):
    """How a phase ended; `epoch` is the selected one, -1 when there was none.

    `validation_balanced` is the mean over the classes, each counting alike.

    `crossings` says of every codebook that is set by its layer's largest weight how often that crossed a power of two;
    `compressed` what learning-compression has made.
    """

    validation_accuracy: float
    epoch: int
    epochs: int
    seconds: float
    parameters: int
    validation_balanced: float | None = None
    crossings: dict[str, int] | None = None
    compressed: CompressedResult | None = None


class TrainResult(BaseModel):
    """What RUN/result.json holds. No test sample has been read."""

    name: str
    run: str
    data: str
    seed: int
    phases: dict[str, PhaseResult]
    calibrated_accuracy: float | None
    validation_accuracy: float
    parameters: int
    train_samples: int
    validation_samples: int
    seconds: float
    accelerator: str
    threads: int
    processes: int = 1
    versions: dict[str, str]
    config: dict[str, Any]


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {
        "qtt-hw": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
