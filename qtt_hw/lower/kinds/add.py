"""Additions: the sum of two streams, rounded once."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Add
from qtt_hw.lower.draft import ScaledDraft, Setting
from qtt_hw.lower.kinds.join import JoinStage
from qtt_hw.lower.kinds.pointwise import combined, together
from qtt_hw.lower.kinds.rearrange import read_alike
from qtt_hw.lower.kinds.table import Function, looked_up, parts_of
from qtt_hw.lower.lowering import Call, Kind, Lowering, Operand, place
from qtt_hw.lower.stage import Place, Stream
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.pointwise import Pointwise
from qtt_hw.quant import ActivationQuantizer
from qtt_hw.window import Shape

__all__ = ["ADD", "AddDraft", "AddStage", "added", "multiplied"]


class AddStage(JoinStage):
    """The sum of two streams of one shape at the finer one's scale, rounded once; ReLU is an unsigned output's bound.

    Parameters
    ----------
    place : Place
        With two inputs.
    output_quantizer : ActivationQuantizer
    """

    def __init__(self, place: Place, output_quantizer: ActivationQuantizer) -> None:
        super().__init__(place, (place.shape, place.shape), place.shape, output_quantizer)

    def made(self, *formats: Format) -> Add:
        a, b = formats
        names = (self.inputs[0], self.inputs[1])
        return Add.aligned(self.name, names, self.source, a, b, self.output_quantizer.format)

    def exact(self, *streams: Stream) -> tuple[Tensor, int]:
        frac = max(fmt.frac for _, fmt in streams)
        a, b = (x.to(torch.int64) << (frac - fmt.frac) for x, fmt in streams)
        return a + b, frac

    def joined(self, *inputs: Tensor) -> Tensor:
        return inputs[0] + inputs[1]


@dataclass
class AddDraft(ScaledDraft):
    """A sum in the making.

    Parameters
    ----------
    nonnegative : bool
        Whether both inputs are.
    """

    nonnegative: bool

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def build(self, setting: Setting) -> AddStage:
        return AddStage(self.place, setting.output(not self.relu and (setting.last or not self.nonnegative)))

    def floats(self, *inputs: Tensor) -> Tensor:
        total = inputs[0] + inputs[1]
        return total.relu() if self.relu else total


def _operands(call: Call, values: Sequence[Value]) -> tuple[Value, Value]:
    """What stands on the left of a call, and on the right."""
    given = [argument for argument in call.args if isinstance(argument, Operand)]
    given += [call.kwargs[name] for name in ("self", "input", "other") if isinstance(call.kwargs.get(name), Operand)]
    left, right = given
    return values[left], values[right]


def multiplied(name: str, x: Value, factor: float) -> Value:
    """A value times a constant: a table, if it changes anything."""
    base, function = parts_of(x)
    return looked_up(name, "factor", base, Pointwise(function, partial(torch.mul, factor)))


def added(lowering: Lowering, name: str, source: str, a: Value, b: Value) -> Value:
    """The sum of two values; of functions of one value, such a function too."""
    found = together(name, "add", torch.add, (a, b))
    if found is not None:
        return found
    a, b = lowering.settled(a), lowering.settled(b)
    if a.axes.sizes != b.axes.sizes:
        adds = f"adds {list(b.axes.sizes)} to {list(a.axes.sizes)}"
        if any(x.shape == (1, 1, 1, other.shape[3]) for x, other in ((a, b), (b, a))):
            raise Unsupported(f"{adds}, one value a channel at all positions, which is not supported; a product is")
        raise Unsupported(f"{adds}; give both branches the same shape")
    a, b = read_alike(lowering, name, a, b)
    if (a.axes, a.shape) != (b.axes, b.shape):
        raise Unsupported(
            f"adds {b.axes} of one volume to {a.axes} of another, which is not supported; in one order it is"
        )
    nonnegative = a.nonnegative and b.nonnegative
    draft = AddDraft(place(name, source, a, b), nonnegative)
    return lowering.append(draft, Value("", a.shape, nonnegative, axes=a.axes, relu_target=draft))


def _add(lowering: Lowering, name: str, call: Call, values: Sequence[Value], sign: float = 1.0) -> Value:
    found = combined(name, call, values)
    if found is not None:
        return found
    if call.own:
        raise Unsupported("adds more than two results, which is not supported; one after the other is")
    a, b = _operands(call, values)
    # torch.add(a, alpha, b) is an old form
    alpha = call.args[1] if len(call.args) == 3 else call.kwargs.get("alpha", 1)
    if alpha * sign != 1:
        b = lowering.settled(multiplied(f"{name}.scaled", b, alpha * sign))
    return added(lowering, name, name, a, b)


ADD = Kind(
    joins={
        **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), _add),
        **dict.fromkeys(
            (operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_", "subtract", "subtract_"),
            partial(_add, sign=-1.0),
        ),
    },
    takes=(Function,),
)
