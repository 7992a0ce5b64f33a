"""A slope and an offset by channel, of parameters or constants: what a batch norm is once its statistics are fixed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Scaling", "parameter"]


def parameter(values: Tensor, *trained_with: Tensor | None) -> nn.Parameter:
    """A parameter of these values, trained where any of the others is."""
    return nn.Parameter(values.detach(), requires_grad=any(t is not None and t.requires_grad for t in trained_with))


@dataclass(frozen=True, eq=False)
class Scaling:
    """y = slope * x + offset.

    Parameters
    ----------
    slope, offset : nn.Parameter, [channels] or [1]
        Float; one without requires_grad is a constant. A single value is one for all channels, and trained as such.
    """

    slope: nn.Parameter
    offset: nn.Parameter

    @property
    def trained(self) -> bool:
        return self.slope.requires_grad or self.offset.requires_grad

    @property
    def adds(self) -> bool:
        """Whether the offset is anything but a constant 0."""
        return self.offset.requires_grad or bool(self.offset.any())

    @property
    def only_adds(self) -> bool:
        """Whether the slope is a constant 1."""
        return not self.slope.requires_grad and bool((self.slope == 1).all())

    def behind(self, slope: Tensor, offset: Tensor | None) -> Scaling:
        """This one of slope * x + offset."""
        made = self.slope * slope
        if offset is None:
            return Scaling(parameter(made, self.slope, slope), self.offset)
        added = self.slope * offset + self.offset
        return Scaling(parameter(made, self.slope, slope), parameter(added, self.offset, offset))

    def over(self, channels: int) -> tuple[Tensor, Tensor]:
        """(slope, offset), [channels] each."""
        return self.slope.detach().expand(channels), self.offset.detach().expand(channels)

    def of(self, y: Tensor) -> Tensor:
        """slope * y + offset of [N, channels, D, H, W], in its dtype."""
        slope, offset = (t.detach().to(y).view(-1, 1, 1, 1) for t in (self.slope, self.offset))
        return torch.addcmul(offset, slope, y)
