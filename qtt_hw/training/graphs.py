"""A network's forward and backward passes as one CUDA graph each: small networks wait for launches otherwise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["graphed"]


def graphed(model: nn.Module, example: Tensor, autocast: bool) -> None:
    """Have a model in training mode run as CUDA graphs on inputs like the example; its state stays as it is.

    In evaluation it runs as before. Its parameters must stay where they are in memory.
    """
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    capture: Any = torch.cuda.make_graphed_callables  # its annotation knows lists alone
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast, cache_enabled=False):
        capture(model, (example.clone(),))
    model.load_state_dict(state)  # warming up has moved batch norm's statistics
    for parameter in model.parameters():
        parameter.grad = None
