"""Quantisation: bit widths, power-of-two-scale fake quantisers, codebooks, batch norm that folds to integers."""

from qtt_hw.quant.batch_norm import BatchNorm, ChannelAffine, RoundedBatchNorm
from qtt_hw.quant.config import QuantConfig
from qtt_hw.quant.fake import ActivationQuantizer, PowerOfTwoQuantizer, UniformQuantizer
from qtt_hw.quant.schemes import weight_quantizer
from qtt_hw.quant.weight import WeightQuantizer

__all__ = [
    "ActivationQuantizer",
    "BatchNorm",
    "ChannelAffine",
    "PowerOfTwoQuantizer",
    "QuantConfig",
    "RoundedBatchNorm",
    "UniformQuantizer",
    "WeightQuantizer",
    "weight_quantizer",
]
