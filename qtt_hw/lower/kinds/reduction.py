"""Means, sums and maxima over whole axes: of the map, as pools, or of a stack of results, as sums of these."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from qtt_hw.lower.axes import C, D, H, W
from qtt_hw.lower.kinds.batch_norm import scaling_stage
from qtt_hw.lower.kinds.pool import pooled
from qtt_hw.lower.kinds.rearrange import axes_of
from qtt_hw.lower.kinds.scaling import scaled
from qtt_hw.lower.kinds.several import Several
from qtt_hw.lower.kinds.stack import Stacked
from qtt_hw.lower.lowering import Call, Kind, Lowering
from qtt_hw.lower.scaling import Scaling
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.window import Window

__all__ = ["REDUCTION"]


@dataclass(frozen=True, eq=False)
class Maxima(Several):
    """What `max` over one axis puts out: the maxima, and where they stand.

    Parameters
    ----------
    maxima : Value
    """

    maxima: Value
    attributes: ClassVar[Mapping[str, int]] = {"values": 0, "indices": 1}

    def settled(self, lowering: Lowering) -> Value:
        """None: they are two results."""
        raise Unsupported("reads the maxima and their places together, which is not supported; the maxima, [0], are")

    def one(self, lowering: Lowering, name: str, number: int, forked: bool) -> Value:
        """The maxima."""
        if number != 0:
            raise Unsupported("takes the places of the maxima, which is not supported; the maxima, [0], are")
        return self.maxima.fork() if forked else self.maxima

    def __len__(self) -> int:
        return len(self.attributes)


def _given(call: Call) -> tuple[Any, bool]:
    """The axes that a call names, and whether it keeps them."""
    given = list(call.args)
    dims = call.kwargs.get("dim", given.pop(0) if given else None)
    return dims, bool(call.kwargs.get("keepdim", given.pop(0) if given else False))


def _over(lowering: Lowering, name: str, kind: Literal["max", "average"], call: Call, x: Value) -> Value:
    """The mean or the maximum over whole axes of the map."""
    x = lowering.settled(x)
    dims, keep = _given(call)
    numbers = axes_of(dims, call)
    parts = [part for number in numbers for part in x.axes.groups[number]]
    if any(part.axis == C or part.size != x.shape[part.axis] for part in parts):
        raise Unsupported(
            f"takes the {call.kind} over axes of {x.axes} that are not just those of the map, which is not supported"
        )
    d, h, w = (x.shape[axis] if any(part.axis == axis for part in parts) else 1 for axis in (D, H, W))
    axes = x.axes.without(numbers, keep)
    if (d, h, w) == (1, 1, 1):
        return replace(x, axes=axes)
    return pooled(lowering, name, kind, Window((d, h, w), (d, h, w)), x, axes)


def _of_stack(lowering: Lowering, name: str, call: Call, stack: Stacked, forked: bool, divisor: int = 1) -> Value:
    """The sum of stacked results, divided by a number."""
    if call.kwargs.get("dtype") is not None:
        raise Unsupported(f"takes the {call.kind} in a dtype of its own, which is not followed")
    dims, keep = _given(call)
    named = [dims] if isinstance(dims, int) else list(dims or ())
    if keep or [dim % len(call.read) for dim in named] != [stack.dim]:
        raise Unsupported(
            f"takes the {call.kind} of a stack of results over other axes than dim={stack.dim}, on which they are "
            "stacked, or keeps it, which is not followed; over that one alone it is"
        )
    return stack.total(lowering, name, forked, divisor)


def _mean(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    if isinstance(x.pending, Stacked):
        return _of_stack(lowering, name, call, x.pending, x.forked, len(x.pending.parts))
    return _over(lowering, name, "average", call, x)


def _sum(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    """A sum over axes of the map: their mean, times how many values they hold."""
    if isinstance(x.pending, Stacked):
        return _of_stack(lowering, name, call, x.pending, x.forked)
    if call.kwargs.get("dtype") is not None:
        raise Unsupported("sums in a dtype of its own, which is not followed")
    mean = _over(lowering, name, "average", call, x)
    count = nn.Parameter(torch.tensor([math.prod(call.read) / math.prod(call.made)]), requires_grad=False)
    scaling = Scaling(count, nn.Parameter(torch.zeros(1), requires_grad=False))
    return scaled(lowering, f"{name}.scaled", replace(mean, norm_target=None), scaling, scaling_stage)


def _amax(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    return _over(lowering, name, "max", call, x)


def _max(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    if call.own:
        raise Unsupported("compares with a tensor of the model's own, which is not followed; torch.maximum is")
    maxima = _over(lowering, name, "max", call, x)
    return replace(maxima, norm_target=None, relu_target=None, forked=False, pending=Maxima(maxima))


REDUCTION = Kind(
    calls={
        **dict.fromkeys(("mean", torch.mean), _mean),
        **dict.fromkeys(("sum", torch.sum), _sum),
        **dict.fromkeys(("amax", torch.amax), _amax),
        **dict.fromkeys(("max", torch.max), _max),
    },
    takes=(Stacked,),
)
