"""Calls that change no value: of dtypes, devices and gradients; they leave no stage."""

from __future__ import annotations

import operator
from typing import Any

import torch

from qtt_hw.lower.kinds.padding import Padding
from qtt_hw.lower.kinds.rearrange import transposed
from qtt_hw.lower.kinds.scaling import Scaled
from qtt_hw.lower.kinds.several import Several
from qtt_hw.lower.kinds.table import Function
from qtt_hw.lower.lowering import Call, Kind, Lowering
from qtt_hw.lower.value import Unsupported, Value

__all__ = ["CONVERSION"]

#: Dtypes that hold float32's values.
_HOLDING = (torch.float32, torch.float64)
#: By method that converts, the dtype.
_METHODS = {
    **{"float": torch.float32, "double": torch.float64, "half": torch.float16, "bfloat16": torch.bfloat16},
    **{"int": torch.int32, "long": torch.int64, "bool": torch.bool},
}


def _converted(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    given: list[Any] = [*call.args, *call.kwargs.values(), _METHODS.get(call.kind), *(t.dtype for t in call.own)]
    dtypes = [_named(value) if isinstance(value, str) else value for value in given]
    other = next((value for value in dtypes if isinstance(value, torch.dtype) and value not in _HOLDING), None)
    if other is not None:
        raise Unsupported(f"converts to {other}, which is not followed; in float32 it would be another network")
    return x


def _named(text: str) -> torch.dtype | None:
    """The dtype that a type's name, as of x.type("torch.FloatTensor"), stands for; None of a device's."""
    found = getattr(torch, text.removeprefix("torch.").removeprefix("cuda."), None)
    found = getattr(found, "dtype", found)
    return found if isinstance(found, torch.dtype) else None


def _unchanged(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    return x


def _detached(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    lowering.detached.append(name)
    return x


def _attribute(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    """x.data, x.mT, x.real, and .values of what has several results."""
    if isinstance(x.pending, Several):
        number = x.pending.attributes.get(call.args[0])
        if number is None:
            raise Unsupported(f"reads the attribute {call.args[0]} of several results, which is not followed")
        return x.pending.one(lowering, name, number, x.forked)
    match call.args[0]:
        case "data":
            return _detached(lowering, name, call, x)
        case "mT":
            count = len(call.read)
            return transposed(lowering.settled(x), count, count - 2, count - 1)
        case "real":
            return x
        case attribute:
            raise Unsupported(f"reads the attribute {attribute} of a result, which is not followed")


CONVERSION = Kind(
    calls={
        **dict.fromkeys(("to", "type", "type_as", *_METHODS), _converted),
        **dict.fromkeys(("cpu", "cuda", "requires_grad_", "pin_memory"), _unchanged),
        **dict.fromkeys((operator.pos, torch.positive, "positive"), _unchanged),
        **dict.fromkeys(("detach", "detach_", torch.detach), _detached),
        getattr: _attribute,
    },
    takes=(Function, Scaled, Padding, Several),
    viewing=True,
)
