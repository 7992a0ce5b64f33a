"""The quantised phase: prepare, calibrate, and when scales and statistics stop moving."""

from __future__ import annotations

from torch import Tensor, nn

from qtt_hw.ir.graph import InputSpec
from qtt_hw.ir.prepare import PreparedModel, prepare
from qtt_hw.quant import QuantConfig
from qtt_hw.train.batches import Batches
from qtt_hw.train.config import QuantSection
from qtt_hw.train.model import example_input
from qtt_hw.train.phase import Milestone

__all__ = ["calibrate", "load_prepared", "milestones", "prepare_model", "scale_parameters"]

#: Numbers of epochs that no training uses: whose orders and changes serve calibration and re-estimation.
CALIBRATION_EPOCH, STATISTICS_EPOCH = 1 << 20, (1 << 20) + 1
