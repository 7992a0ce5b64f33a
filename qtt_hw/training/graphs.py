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
    # What squeezes a depth of 1 before the network runs stays outside: a module with hooks cannot be captured.
    hooks, inputs = dict(model._forward_pre_hooks), (example,)
    for hook in hooks.values():
        inputs = hook(model, inputs)
    model._forward_pre_hooks.clear()
    capture: Any = torch.cuda.make_graphed_callables  # its annotation knows lists alone
    try:
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast, cache_enabled=False):
            capture(model, tuple(x.clone() for x in inputs))
    finally:
        model._forward_pre_hooks.update(hooks)
    model.load_state_dict(state)  # warming up has moved batch norm's statistics
    for parameter in model.parameters():
        parameter.grad = None
