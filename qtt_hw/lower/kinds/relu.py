"""ReLU: the lower bound of the clamp of the contraction or sum before it; where it cannot join one, a table."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from qtt_hw.lower.kinds.table import Function, looked_up, parts_of
from qtt_hw.lower.lowering import Kind, Lowering
from qtt_hw.lower.value import Value
from qtt_hw.nn.pointwise import Pointwise

__all__ = ["RELU"]


def _relu(lowering: Lowering, name: str, layer: nn.Module, x: Value) -> Value:
    if x.nonnegative or x.blind:
        return x
    target = x.relu_target
    if target is None or target.shared or x.forked:  # nothing before it has a clamp, or it is read without it elsewhere
        base, function = parts_of(x)
        return looked_up(name, "ReLU", base, Pointwise(function, F.relu))
    # Maximum, flatten, permutation and subsampling commute with ReLU, so it moves back to the clamp.
    target.relu = True
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
    takes=(Function,),
)
