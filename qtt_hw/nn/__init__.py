"""Tensor-train layers and blocks."""

from qtt_hw.nn.blocks import ConvBlock
from qtt_hw.nn.tt_conv import TTConv3d
from qtt_hw.nn.tt_linear import TTLinear

__all__ = ["ConvBlock", "TTConv3d", "TTLinear"]
