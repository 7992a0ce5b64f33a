"""Which quantiser a configuration's weights have."""

from __future__ import annotations

from collections.abc import Sequence

from qtt_hw.quant.channelwise import ChannelQuantizer
from qtt_hw.quant.clustered import ClusteredQuantizer
from qtt_hw.quant.config import QuantConfig
from qtt_hw.quant.fake import UniformQuantizer
from qtt_hw.quant.incremental import IncrementalQuantizer
from qtt_hw.quant.powers_of_two import DynamicCodebook, StaticCodebook
from qtt_hw.quant.weight import WeightQuantizer

__all__ = ["weight_quantizer"]


def weight_quantizer(config: QuantConfig, bits: int, shape: Sequence[int]) -> WeightQuantizer:
    """The quantiser of a weight of this shape with codes, or integers, of so many bits; not calibrated yet."""
    match config.codebook:
        case "dqc":
            return DynamicCodebook(bits, config.zero, config.gradient)
        case "sqc":
            return StaticCodebook(bits, config.zero, config.gradient)
        case "inq":
            return IncrementalQuantizer(bits, shape)
        case "kmeans":
            return ClusteredQuantizer(bits, shape)
    if config.weight_scales == "channel":
        return ChannelQuantizer(bits, shape[0])
    return UniformQuantizer(bits, config.scales == "fixed")
