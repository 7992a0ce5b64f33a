"""Weights with a scale by output channel, which the requantiser's multipliers take in."""

from __future__ import annotations

import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format, quantize
from qtt_hw.quant.fake import UniformQuantizer
from qtt_hw.quant.weight import greatest

__all__ = ["ChannelQuantizer"]

#: Shares of a channel's largest weight that its greatest integer is tried to stand for.
SHARES = tuple(share / 50 for share in range(50, 14, -1))
#: No channel's scale is less: weights can be divided by it.
LEAST = torch.finfo(torch.float32).tiny


class ChannelQuantizer(UniformQuantizer):
    """Signed narrow weights, divided by their output channel's scale before they are quantised.

    The integers, and the values that training contracts with, are of the divided weights: their sums are exact. What
    comes after multiplies by `channel_scale` again, with batch norm or instead of it. Scales are set at calibration,
    each to the one of least squared error.

    Parameters
    ----------
    bits : int
    channels : int
        Rows of the weight, its axis 0.
    """

    channel_scale: Tensor

    def __init__(self, bits: int, channels: int) -> None:
        super().__init__(bits)
        self.register_buffer("channel_scale", torch.ones(channels))

    @torch.no_grad()
    def calibrate(self, values: Tensor) -> None:
        """Set every channel's scale; `values` is the weight, [channels, ...]."""
        if self.frozen:
            raise ValueError("a frozen scale cannot be calibrated")
        greatest(values)
        self.log2_scale.fill_(1 - self.bits)
        rows = values.detach().to(torch.float64).flatten(1)
        top = rows.abs().amax(dim=1)
        whole = self.format.maximum * 2.0**-self.frac
        best, least = torch.ones_like(top), torch.full_like(top, torch.inf)
        for share in SHARES:
            scale = torch.where(top > 0, (top * (share / whole)).clamp(min=LEAST), 1.0).to(torch.float32).double()
            column = scale[:, None]
            error = (self._values(rows / column, self.format) * column - rows).square().sum(dim=1)
            best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
        self.channel_scale.copy_(best)

    @staticmethod
    def _values(rows: Tensor, fmt: Format) -> Tensor:
        return quantize(rows, fmt) * 2.0**-fmt.frac

    def factors(self) -> Tensor:
        return self.channel_scale

    def _taken(self, weight: Tensor) -> Tensor:
        return weight / self.channel_scale.view(-1, *(1,) * (weight.ndim - 1))
