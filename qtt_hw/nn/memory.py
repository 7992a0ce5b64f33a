"""Memory order of a network's parameters: kernels channels-last, in which CPU convolutions are fastest."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

__all__ = ["channels_last"]

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def channels_last(model: Model) -> Model:
    """The model with every 5D parameter and buffer in channels_last_3d; `Module.to` refuses models with 4D ones."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 5:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last_3d)
    return model
