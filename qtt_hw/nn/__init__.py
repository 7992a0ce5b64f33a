"""Tensor-train layers and blocks."""

from qtt_hw.nn.blocks import ConvBlock
from qtt_hw.nn.pool import PairAvgPool3d, PairMaxPool3d
from qtt_hw.nn.qtt_conv import QTTConv3d
from qtt_hw.nn.subsample import Subsample
from qtt_hw.nn.tt_conv import TTConv2d, TTConv3d
from qtt_hw.nn.tt_linear import TTLinear

__all__ = ["ConvBlock", "PairAvgPool3d", "PairMaxPool3d", "QTTConv3d", "Subsample", "TTConv2d", "TTConv3d", "TTLinear"]
