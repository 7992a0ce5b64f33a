"""What drafts of stages compute on floats: the model's own function, which it is compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from qtt_hw.graph import INPUT
from qtt_hw.lower.draft import NetworkDraft

__all__ = ["logits"]


@torch.no_grad()
def logits(network: NetworkDraft, x: Tensor) -> Tensor:
    """[N, logits] of float inputs [N, C, D, H, W], in their dtype; nothing is quantised."""
    results = {INPUT: x.contiguous(memory_format=torch.channels_last_3d)}
    for draft in network.drafts:
        results[draft.name] = draft.floats(*(results[name] for name in draft.inputs))
    return results[network.drafts[-1].name].flatten(1)
