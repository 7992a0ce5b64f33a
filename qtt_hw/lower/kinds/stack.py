"""Results stacked on an axis of their own: no stage has one, but the sum or the mean over it is one of streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from qtt_hw.lower.kinds.add import added, multiplied
from qtt_hw.lower.kinds.table import Function
from qtt_hw.lower.lowering import Call, Kind, Lowering, Operand
from qtt_hw.lower.value import Unsupported, Value

__all__ = ["STACK", "Stacked"]


@dataclass(frozen=True, eq=False)
class Stacked:
    """Results on an axis of their own.

    Parameters
    ----------
    parts : sequence of Value
        Of one shape.
    dim : int
        The number of that axis, with the batch's counted.
    """

    parts: Sequence[Value]
    dim: int

    def settled(self, lowering: Lowering) -> Value:
        """None: there is no such axis in a stream."""
        raise Unsupported(
            "reads a stack of results, which is not followed; its sum or mean over the stacked axis is, and so is "
            "torch.cat of channels"
        )

    def total(self, lowering: Lowering, name: str, forked: bool, divisor: int = 1) -> Value:
        """The sum of the results, one added after the other, divided by a number; `forked` where others read it too."""
        total, *others = self.parts
        total = total.fork() if forked else total
        for number, part in enumerate(others, 1):
            last = number == len(others) and divisor == 1
            total = added(lowering, name if last else f"{name}.{number}", name, total, part)
        return total if divisor == 1 else multiplied(name, total, 1 / divisor)


def _stack(lowering: Lowering, name: str, call: Call, values: Sequence[Value]) -> Value:
    given = call.args[0] if call.args else call.kwargs["tensors"]
    dim = call.args[1] if len(call.args) > 1 else call.kwargs.get("dim", 0)
    if not all(isinstance(part, Operand) for part in given):
        raise Unsupported("puts a tensor of the model's own beside results, which is not supported")
    parts = [values[part] for part in given]
    pending = Stacked(parts, dim % len(call.made))
    return replace(parts[0], norm_target=None, relu_target=None, forked=False, pending=pending)


STACK = Kind(joins={torch.stack: _stack}, takes=(Function,))
