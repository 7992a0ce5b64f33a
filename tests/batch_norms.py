"""Batch norms as training may leave them, for networks that tests make and do not train."""

import torch
from torch import nn

__all__ = ["disturb"]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def disturb(model: nn.Module, least: float = 0.0, dead: float = 1.0) -> None:
    """Give all batch norms statistics, signs and scales of every kind, and the first channel of some hardly a variance.

    Parameters
    ----------
    model : nn.Module
    least : float
        Variance of the other channels.
    dead : float
        Share of the batch norms with such a channel.
    """
    for module in model.modules():
        if isinstance(module, _NORMS):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, least, 4.0)
            if dead == 1.0 or torch.rand(()) < dead:
                module.running_var[0] = 1e-12
