"""Functions of one value: activations, constants, and what is computed of several functions of the same value."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.lower.kinds.batch_norm import scaling_stage
from qtt_hw.lower.kinds.scaling import Scaled, by_channel, joins_layer, scaled, scaling_of
from qtt_hw.lower.kinds.table import Function, looked_up, parts_of
from qtt_hw.lower.lowering import Call, Kind, Lowering
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.finite import unusable
from qtt_hw.nn.pointwise import Combined, Parametrised, Pointwise, Slope

__all__ = ["POINTWISE", "combined", "together"]


class _Step:
    """A call on a copy of what it is given, which it may write into; its own one value may have axes, as [1, 1, 1]."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *values: Tensor) -> Tensor:
        made: Tensor = self.function(*(value.clone() for value in values))
        return made.reshape(values[0].shape)


def _behind(lowering: Lowering, name: str, activation: str, x: Value, step: Callable[[Tensor], Tensor]) -> Value:
    """A function of a value, behind those that it is of; of one that is scaled by channel, behind that."""
    if x.blind:
        return x
    base, function = parts_of(lowering.settled(x, (Function,)))
    return looked_up(name, activation, base, Pointwise(function, step))


def _activation(lowering: Lowering, name: str, layer: nn.Module, x: Value) -> Value:
    return _behind(lowering, name, type(layer).__name__, x, _Step(layer.forward))


def _prelu(lowering: Lowering, name: str, layer: nn.PReLU, x: Value) -> Value:
    if layer.num_parameters != 1:
        raise Unsupported(
            f"has {layer.num_parameters} slopes, one a channel, which is not supported; torch.relu(x) + slopes * "
            "x.clamp(max=0) computes the same, with the slopes as a parameter that has an axis for each of x"
        )
    lowering.use_weights(name, layer)
    return _behind(lowering, name, "PReLU", x, Slope(layer.weight))


def _call_prelu(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    (weight,) = call.own
    layer = nn.PReLU(weight.numel(), device="meta")
    layer.weight = weight  # type: ignore[assignment]
    return _prelu(lowering, name, layer, x)


def _call(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    if x.blind:
        return x
    trained = any(isinstance(tensor, nn.Parameter) and tensor.requires_grad for tensor in call.own)
    single = all(tensor.numel() == 1 for tensor in call.own)
    if single and call.made != call.read:
        raise Unsupported(f"makes {list(call.made)} of {list(call.read)}, which is not followed")
    # Behind a function that has no table yet, a number with axes becomes part of it, not a scaling of one channel.
    only_channel = len(call.read) > 1 and call.read[1] == 1 and any(tensor.ndim for tensor in call.own)
    only_channel &= not isinstance(x.pending, Function)
    if call.own and (not single or only_channel or (trained and joins_layer(x))):
        scaling = scaling_of(call)
        if scaling is not None:
            wrong = unusable("weight", scaling.slope) or unusable("bias", scaling.offset)
            if wrong is not None:
                raise Unsupported(f"scales its input by what {wrong}; give it finite values, and divide by no 0")
            x = lowering.settled(x, (Scaled,))
            x = x if single else by_channel(lowering, name, call, x)
            lowering.use_parameters(name, call.own)
            return scaled(lowering, name, x, scaling, scaling_stage)
        if not single:
            shapes = ", ".join(str(list(tensor.shape)) for tensor in call.own)
            raise Unsupported(
                f"takes a tensor of shape {shapes}, which is not supported; it is as a factor, a divisor or a summand"
            )
    if not trained:
        return _behind(lowering, name, call.kind, x, _Step(call.function))
    lowering.use_parameters(name, call.own)
    return _behind(lowering, name, call.kind, x, Parametrised(call.of, call.own))


def combined(name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """A call on functions of one value, as x * sigmoid(x), as one function; None where they are of several values."""
    return None if call.own else together(name, call.kind, call.function, values)


def together(name: str, kind: str, function: Callable[..., Any], values: Sequence[Value]) -> Value | None:
    """A function of functions of one value as one function; None where they are of several values."""
    bases, functions = zip(*(parts_of(value) for value in values), strict=True)
    base = bases[0]
    if any((other.edge, other.axes) != (base.edge, base.axes) for other in bases):
        return None
    return looked_up(name, kind, base, Pointwise(Combined(_Step(function), *functions)))


_LAYERS: tuple[type[nn.Module], ...] = (
    *(nn.LeakyReLU, nn.ReLU6, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Softplus, nn.Softsign),
    *(nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Threshold),
)
_FUNCTIONS = (
    *(F.leaky_relu, F.relu6, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish, F.logsigmoid, F.softplus, F.softsign),
    *(F.hardtanh, F.hardsigmoid, F.hardswish, F.hardshrink, F.softshrink, F.tanhshrink, F.threshold),
    *(F.sigmoid, F.tanh, F.leaky_relu_, F.elu_, F.selu_, F.celu_, F.hardtanh_),
    *(torch.selu, torch.celu, torch.threshold, torch.clamp_, torch.clip_, torch.selu_, torch.celu_, torch.threshold_),
)
#: Functions that are methods too, and may have a form in place.
_METHODS = (
    *("sigmoid", "tanh", "abs", "neg", "negative", "square", "sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "log2"),
    *("reciprocal", "sin", "cos", "atan", "arctan", "erf", "sign", "floor", "ceil", "round", "trunc", "relu6"),
    *("clamp", "clip", "clamp_min", "clamp_max", "pow", "add", "sub", "subtract", "mul", "multiply", "div", "divide"),
    *("true_divide", "hardshrink", "maximum", "minimum", "rsub"),
)
_OPERATORS = (
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.neg, operator.abs),
    *(operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow),
    *(math.sqrt, torch.special.expit),
)


#: Of two values, followed where both are functions of one.
_OF_TWO = (
    *(operator.mul, operator.imul, operator.truediv, operator.itruediv, operator.pow, operator.ipow),
    *(torch.mul, torch.multiply, "mul", "mul_", "multiply", "multiply_"),
    *(torch.div, torch.divide, torch.true_divide, "div", "div_", "divide", "divide_", "true_divide", "true_divide_"),
    *(torch.pow, "pow", "pow_", torch.maximum, "maximum", torch.minimum, "minimum"),
)


def _joined(lowering: Lowering, name: str, call: Call, values: Sequence[Value]) -> Value:
    found = combined(name, call, [lowering.settled(value, (Function,)) for value in values])
    if found is None:
        raise Unsupported("is a function of several results, which is not supported; additions of these are")
    return found


def _called() -> list[Any]:
    """All functions and methods, by which of them exist."""
    found: list[Any] = [*_FUNCTIONS, *_OPERATORS]
    for name in _METHODS:
        for form in (name, f"{name}_"):
            found += [form] if hasattr(Tensor, form) else []
            found += [getattr(torch, form)] if hasattr(torch, form) else []
    return found


POINTWISE = Kind(
    {**dict.fromkeys(_LAYERS, _activation), nn.PReLU: _prelu},
    calls={
        **dict.fromkeys(_called(), _call),
        **dict.fromkeys((F.prelu, torch.prelu, "prelu"), _call_prelu),
    },
    joins=dict.fromkeys(_OF_TWO, _joined),
    takes=(Function, Scaled),
)
