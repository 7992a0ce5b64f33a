"""Memory order of a network's parameters: kernels channels-last, in which CPU convolutions are fastest."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

__all__ = ["channels_last"]

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def channels_last(model: Model) -> Model:
    """The model with 5D parameters and buffers in channels_last_3d, and kernels of Conv2d in channels_last.

    `Module.to` does one of the two only, and would take 4D tensor-train cores for kernels.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 5:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last_3d)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.ndim == 4:  # a lazy layer's has none yet
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    return model
