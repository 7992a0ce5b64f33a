"""ReLU: the lower bound of the clamp of the contraction or sum before it."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from qtt_hw.lower.lowering import Kind, Lowering
from qtt_hw.lower.value import Unsupported, Value

__all__ = ["RELU"]


def _relu(lowering: Lowering, name: str, layer: nn.Module, x: Value) -> Value:
    if x.nonnegative or x.blind:
        return x
    if x.relu_target is None:
        raise Unsupported(
            "follows an average pool or the input, which is not supported; before the pool, right behind a layer, "
            "it would be another network"
        )
    if x.forked:
        target = x.relu_target.source
        raise Unsupported(
            f"joins {target}, whose output is read without it elsewhere, which is not supported; before the fork "
            "it would be another network"
        )
    # Maximum, flatten, permutation and subsampling commute with ReLU, so it moves back to the clamp.
    x.relu_target.relu = True
    return replace(x, nonnegative=True)


def _as_layer(input: object, inplace: bool = False) -> nn.Module:
    return nn.ReLU(inplace=bool(inplace))


def _in_place(input: object) -> nn.Module:
    return nn.ReLU(inplace=True)


RELU = Kind(
    {nn.ReLU: _relu},
    {
        **dict.fromkeys((F.relu, torch.relu, "relu"), _as_layer),
        **dict.fromkeys((F.relu_, torch.relu_, "relu_"), _in_place),
    },
)
