"""What calibration takes from a stage's sums: a sample, statistics by channel, and the scale of its output."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from qtt_hw.errors import CalibrationWarning, named
from qtt_hw.quant import ActivationQuantizer
from qtt_hw.quant.fake import beyond

__all__ = ["calibrate_output", "sample", "statistics_of"]

#: Values of a stage's output that its scale is searched on.
SAMPLE = 1 << 21
#: Calls from `PreparedModel.calibrate` to a warning, whose place is that of the caller.
_DEPTH = 5


def sample(parts: Sequence[Tensor]) -> Tensor:
    """At most about SAMPLE values of the parts, whole positions at even strides: float64 [positions, C]."""
    stride = max(1, -(-sum(part.numel() for part in parts) // SAMPLE))
    stride += 1 - stride % 2  # an odd stride does not keep step with even axes
    return torch.cat([part.movedim(1, 4).flatten(0, 3)[::stride].to(torch.float64) for part in parts])


def statistics_of(accumulators: Sequence[Tensor], scale: float | Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance by channel over all batches, of integers times scale, or scales [C]; float64 [C]."""
    count = sum(acc.numel() // acc.shape[1] for acc in accumulators)
    axes = (0, 2, 3, 4)
    mean = torch.stack([acc.sum(axes, dtype=torch.float64) for acc in accumulators]).sum(0) / count
    centre = mean.view(-1, 1, 1, 1)
    squares = torch.stack([(acc.to(torch.float64) - centre).square().sum(axes) for acc in accumulators]).sum(0)
    return mean * scale, squares / max(count - 1, 1) * scale**2


def calibrate_output(name: str, quantizer: ActivationQuantizer, y: Tensor) -> None:
    """Set the scale of a stage's output from its values in float; warn of values that none reaches."""
    taken = y if quantizer.signed else y.clamp(min=0.0)
    with named(name):
        quantizer.calibrate(taken)
    if not quantizer.fixed and (said := beyond(taken, quantizer.bits)) is not None:
        warnings.warn(f"{name}: {said}", CalibrationWarning, stacklevel=_DEPTH + 2)
