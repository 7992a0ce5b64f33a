"""Slopes and offsets by channel, as x * self.scale: in the layer before or behind, or in a stage of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from qtt_hw.lower.axes import C
from qtt_hw.lower.kinds.rearrange import flatten_stream
from qtt_hw.lower.lowering import Call, Lowering
from qtt_hw.lower.scaling import Scaling, parameter
from qtt_hw.lower.value import Unsupported, Value

__all__ = ["Scaled", "by_channel", "joins_layer", "scaled", "scaling_of", "taken_into", "with_scaling"]


@dataclass(frozen=True, eq=False)
class Scaled:
    """A value times a slope and plus an offset by channel, which no layer has taken in yet.

    Parameters
    ----------
    name : str
        The call's, or the last one's of several.
    base : Value
        What is scaled, with nothing pending.
    scaling : Scaling
    stage : callable
        Its stage.
    """

    name: str
    base: Value
    scaling: Scaling
    stage: Callable[[Lowering, str, Value, Scaling], Value]

    def settled(self, lowering: Lowering) -> Value:
        """The result of a depthwise contraction by 1, whose requantiser has the slopes and offsets."""
        return self.stage(lowering, self.name, self.base, self.scaling)


def _add(x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    return torch.ones(1), alpha * x


def _subtract(x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    return torch.ones(1), -alpha * x


def _subtract_from(x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    return -torch.ones(1) * alpha, x


def _multiply(x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    return x, torch.zeros(1)


def _divide(x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    return 1 / x, torch.zeros(1)


#: By function, (slope, offset) of a tensor that stands on the right of the value that is read; by alpha too.
_OPERATIONS = {
    "add": _add,
    **dict.fromkeys(("sub", "subtract"), _subtract),
    "rsub": _subtract_from,
    **dict.fromkeys(("mul", "multiply"), _multiply),
    **dict.fromkeys(("div", "divide", "true_divide", "truediv"), _divide),
}
#: Those of a tensor on the left.
_REVERSED = {"add": _add, "mul": _multiply, "multiply": _multiply, "sub": _subtract_from, "subtract": _subtract_from}
_REVERSED["rsub"] = _subtract


def scaling_of(call: Call) -> Scaling | None:
    """What a call of one value and one tensor of the model's own does, if it is a slope and an offset."""
    left = any(argument is None for argument in call.args) or any(
        call.kwargs.get(name, call) is None for name in ("other", "self")
    )
    made = (_REVERSED if left else _OPERATIONS).get(call.kind.rstrip("_"))
    given = [value for value in (*call.args, *call.kwargs.values()) if value is not None]
    alpha = call.kwargs.get("alpha", 1)
    expected = 1 + ("alpha" in call.kwargs)
    if made is None or len(call.own) != 1 or len(given) != expected:
        return None
    (own,) = call.own
    slope, offset = made(own.detach().flatten().to(torch.float32), float(alpha))
    trained = isinstance(own, nn.Parameter) and own.requires_grad
    moves_slope = made in (_multiply, _divide)
    return Scaling(
        nn.Parameter(slope, requires_grad=trained and moves_slope),
        nn.Parameter(offset, requires_grad=trained and not moves_slope),
    )


def by_channel(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    """The value whose channels a call's tensor has one value each for; raises Unsupported where it has others."""
    (own,) = call.own
    shape = (*(1,) * (len(call.read) - own.ndim), *own.shape)
    longer = [number for number, size in enumerate(shape) if size > 1]
    if call.made != call.read:
        raise Unsupported(f"makes {list(call.made)} of {list(call.read)}, which is not followed")
    if len(longer) == 1 and longer[0] > 0:
        if x.flat and not x.axes.is_whole(0, C, x.shape):
            x = flatten_stream(lowering, f"{name}.input", x)
        if x.axes.is_whole(longer[0] - 1, C, x.shape):
            return x
    raise Unsupported(
        f"takes a tensor of shape {list(own.shape)} beside {x.axes}, which is not supported; one value a channel, or a "
        "single number, is"
    )


def joins_layer(x: Value) -> bool:
    """Whether the layer that a value comes from takes in what scales it."""
    return x.norm_target is not None and not x.norm_target.relu and not x.forked


def scaled(lowering: Lowering, name: str, x: Value, scaling: Scaling, stage: Callable[..., Value]) -> Value:
    """A value scaled by channel: in the layer that it comes from, or pending."""
    if joins_layer(x):
        assert x.norm_target is not None
        x.norm_target.scale(scaling)
        return x
    base = x
    if isinstance(x.pending, Scaled):
        base, before = x.pending.base, x.pending.scaling
        scaling = scaling.behind(before.slope, before.offset)
    pending = Scaled(name, base, scaling, stage)
    return replace(base, norm_target=None, relu_target=None, nonnegative=False, forked=False, pending=pending)


def taken_into(x: Value, bias: Tensor | None, trained: bool, padded: bool) -> bool:
    """Whether a layer computes the same, and trains alike, with what is pending of its input in its own weights.

    Parameters
    ----------
    x : Value
    bias : tensor, optional
        The layer's.
    trained : bool
        Whether its weight is.
    padded : bool
        Whether it reads zeros beside its input, which no offset moves.
    """
    if not isinstance(x.pending, Scaled):
        return False
    scaling = x.pending.scaling
    if scaling.trained and not trained:
        return False
    return not scaling.adds or (not padded and bias is not None and bias.requires_grad)


def with_scaling(x: Value, weight: Tensor, bias: Tensor | None, groups: int) -> tuple[Value, Tensor, Tensor | None]:
    """The input without what scales it, and a layer's weight [out, in, ...] and bias with it."""
    assert isinstance(x.pending, Scaled)
    slope, offset = x.pending.scaling.over(x.shape[3])
    made, taken, *kernel = weight.shape
    by_group = (
        t.view(groups, 1, taken).expand(groups, made // groups, taken).reshape(made, taken) for t in (slope, offset)
    )
    slope, offset = (t.view(made, taken, *(1 for _ in kernel)) for t in by_group)
    if bias is not None:
        bias = parameter(bias + (weight * offset).flatten(1).sum(1), bias)
    base = x.pending.base
    return (base.fork() if x.forked else base), parameter(weight * slope, weight), bias
