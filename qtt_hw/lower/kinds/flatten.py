"""Flattens: a mark on what is read, until something needs the channels in PyTorch's order."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from qtt_hw.lower.kinds.permutation import PermutationDraft
from qtt_hw.lower.kinds.reshape import ReshapeDraft
from qtt_hw.lower.lowering import Kind, Lowering, place
from qtt_hw.lower.value import Unsupported, Value

__all__ = ["FLATTEN", "flatten_stream", "need_flat"]


def flatten_stream(lowering: Lowering, name: str, x: Value) -> Value:
    """Carry a pending flatten out: one position whose channels stand in the order C, D, H, W."""
    d, h, w, c = x.shape
    if d * h * w == 1:
        return x
    size = d * h * w * c
    x = replace(x, norm_target=None)
    x = lowering.append(ReshapeDraft(place(f"{name}.flatten", name, x), (1, 1, 1, size)), x)
    if c == 1:
        return x
    order = torch.arange(size).view(d, h, w, c).permute(3, 0, 1, 2).flatten()
    return lowering.append(PermutationDraft(place(f"{name}.order", name, x), tuple(order.tolist())), x)


def need_flat(what: str, x: Value) -> None:
    """Raise Unsupported for a layer that would act on the last axis of a volume."""
    if not x.flat and not x.blind:
        raise Unsupported(
            f"would act on the last axis of a volume, which is not supported; nn.Flatten() before {what} would be "
            "another network"
        )


def _flatten(lowering: Lowering, name: str, layer: nn.Flatten, x: Value) -> Value:
    if layer.start_dim != 1 or layer.end_dim != -1:
        raise Unsupported("flattens other axes than all but the batch, which is not supported; nn.Flatten() is")
    one = x.shape[:3] == (1, 1, 1)
    return replace(x, flat=True, norm_target=x.norm_target if one else None)


def _as_layer(input: object, start_dim: int = 0, end_dim: int = -1) -> nn.Module:
    return nn.Flatten(start_dim, end_dim)


FLATTEN = Kind({nn.Flatten: _flatten}, dict.fromkeys((torch.flatten, "flatten"), _as_layer))
