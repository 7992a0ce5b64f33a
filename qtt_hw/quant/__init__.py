"""Quantisation: bit widths, power-of-two-scale fake quantisers, batch norm that folds to integers."""

from qtt_hw.quant.batch_norm import BatchNorm, RoundedBatchNorm
from qtt_hw.quant.config import QuantConfig
from qtt_hw.quant.fake import ActivationQuantizer, PowerOfTwoQuantizer, WeightQuantizer

__all__ = [
    "ActivationQuantizer",
    "BatchNorm",
    "PowerOfTwoQuantizer",
    "QuantConfig",
    "RoundedBatchNorm",
    "WeightQuantizer",
]
