"""What drafts of stages compute on floats: the model's own function, which it is compared with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from qtt_hw.graph import INPUT
from qtt_hw.lower.draft import AddDraft, ContractionDraft, Draft, NetworkDraft
from qtt_hw.nn.contraction import contract

__all__ = ["logits"]


@torch.no_grad()
def logits(network: NetworkDraft, x: Tensor) -> Tensor:
    """[N, logits] of float inputs [N, C, D, H, W], in their dtype; nothing is quantised."""
    results = {INPUT: x.contiguous(memory_format=torch.channels_last_3d)}
    for draft in network.drafts:
        results[draft.name] = _result(draft, *(results[name] for name in draft.inputs))
    return results[network.drafts[-1].name].flatten(1)


def _result(draft: Draft, *inputs: Tensor) -> Tensor:
    match draft:
        case ContractionDraft():
            return _contraction(draft, *inputs)
        case AddDraft():
            total = inputs[0] + inputs[1]
            return total.relu() if draft.relu else total
    return draft.build().to(inputs[0].device).floats(*inputs)


def _contraction(draft: ContractionDraft, x: Tensor) -> Tensor:
    y = contract(x, draft.weight.to(x), draft.window, draft.lead, draft.trail)
    if draft.bias is not None:
        y = y + draft.bias.to(x).view(-1, 1, 1, 1)
    norm = draft.batch_norm
    if norm is not None:
        statistics = norm.running_mean, norm.running_var, norm.weight, norm.bias
        mean, var, weight, bias = (None if t is None else t.to(x) for t in statistics)
        y = F.batch_norm(y, mean, var, weight, bias, training=False, eps=norm.eps)
    return y.relu() if draft.relu else y
