"""Products of two streams, rounded once; one of them may have a single position, as a gate of each channel."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Multiplication
from qtt_hw.lower.draft import ScaledDraft, Setting
from qtt_hw.lower.kinds.join import JoinStage
from qtt_hw.lower.kinds.pointwise import combined
from qtt_hw.lower.kinds.rearrange import read_alike
from qtt_hw.lower.kinds.table import Function
from qtt_hw.lower.lowering import Call, Kind, Lowering, place
from qtt_hw.lower.stage import Stream
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.window import Shape

__all__ = ["EXPANDING", "MULTIPLICATION", "MultiplicationDraft", "MultiplicationStage"]

#: Calls that repeat one value a channel at all positions.
EXPANDING = ("expand", "expand_as", "broadcast_to", torch.broadcast_to)


class MultiplicationStage(JoinStage):
    """The product of two streams; the second may have one position for all of the first's."""

    def made(self, *formats: Format) -> Multiplication:
        a, b = formats
        names = (self.inputs[0], self.inputs[1])
        return Multiplication.of(self.name, names, self.source, a, b, self.output_quantizer.format)

    def exact(self, *streams: Stream) -> tuple[Tensor, int]:
        (a, one), (b, other) = streams
        return a.to(torch.int64) * b.to(torch.int64), one.frac + other.frac

    def joined(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * inputs[1]


@dataclass
class MultiplicationDraft(ScaledDraft):
    """A product in the making.

    Parameters
    ----------
    gate : (D, H, W, C)
        Shape of the second input.
    nonnegative : bool
        Whether both inputs are.
    """

    gate: Shape
    nonnegative: bool

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def build(self, setting: Setting) -> MultiplicationStage:
        signed = not self.relu and (setting.last or not self.nonnegative)
        shapes = (self.in_shape, self.gate)
        return MultiplicationStage(self.place, shapes, self.out_shape, setting.output(signed))

    def floats(self, *inputs: Tensor) -> Tensor:
        y = inputs[0] * inputs[1]
        return y.relu() if self.relu else y


def _multiply(lowering: Lowering, name: str, call: Call, values: Sequence[Value]) -> Value:
    found = combined(name, call, values)
    if found is not None:
        return found
    if call.own or len(values) != 2:
        raise Unsupported("multiplies more than two results, which is not supported; one after the other is")
    a, b = (lowering.settled(value) for value in values)
    if a.axes.sizes != b.axes.sizes and tuple(call.made[1:]) != a.axes.sizes:
        a, b = b, a
    if a.axes.sizes == b.axes.sizes or len(a.axes) == len(b.axes) > 1:  # by as many values, or by a gate
        a, b = read_alike(lowering, name, a, b)
    alike = (a.axes, a.shape) == (b.axes, b.shape)
    gate = a.volume and b.volume and len(a.axes) == len(b.axes) and b.shape == (1, 1, 1, a.shape[3])
    if not (alike or gate):
        raise Unsupported(
            f"multiplies {a.axes} with sizes {list(a.axes.sizes)} by {b.axes} with sizes {list(b.axes.sizes)}, which "
            "is not supported; by the same shape in one order, or by one value a channel for all positions, it is"
        )
    nonnegative = a.nonnegative and b.nonnegative
    draft = MultiplicationDraft(place(name, name, a, b), b.shape, nonnegative)
    return lowering.append(draft, Value("", a.shape, nonnegative, axes=a.axes, relu_target=draft), a.axes)


def _repeated(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    """A gate whose one position is repeated: what multiplies by it repeats it."""
    if call.made == call.read:
        return x
    if len(call.made) != len(call.read) or x.shape[:3] != (1, 1, 1) or call.read[1] != call.made[1]:
        raise Unsupported("repeats values, which is not supported; one value a channel for all positions can be")
    return x


MULTIPLICATION = Kind(
    joins={
        **dict.fromkeys((operator.mul, operator.imul, torch.mul, torch.multiply), _multiply),
        **dict.fromkeys(("mul", "mul_", "multiply", "multiply_"), _multiply),
    },
    calls=dict.fromkeys(EXPANDING, _repeated),
    takes=(Function,),
)
