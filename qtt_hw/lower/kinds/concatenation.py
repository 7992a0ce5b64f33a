"""Concatenations of channels: several streams one after the other, rounded once to one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Concatenation
from qtt_hw.lower.axes import Axes, C
from qtt_hw.lower.draft import ScaledDraft, Setting
from qtt_hw.lower.kinds.join import JoinStage
from qtt_hw.lower.kinds.rearrange import flatten_stream, need_volume
from qtt_hw.lower.lowering import Call, Kind, Lowering, Operand, place
from qtt_hw.lower.refusals import REPEATED
from qtt_hw.lower.stage import Stream
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.window import Shape

__all__ = ["CONCATENATION", "ConcatenationDraft", "ConcatenationStage"]


class ConcatenationStage(JoinStage):
    """The channels of several streams one after the other, at the output's scale."""

    def made(self, *formats: Format) -> Concatenation:
        return Concatenation.aligned(self.name, self.inputs, self.source, formats, self.output_quantizer.format)

    def exact(self, *streams: Stream) -> tuple[Tensor, int]:
        frac = max(fmt.frac for _, fmt in streams)
        return torch.cat([x.to(torch.int64) << (frac - fmt.frac) for x, fmt in streams], 1), frac

    def joined(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, 1).contiguous(memory_format=torch.channels_last_3d)


@dataclass
class ConcatenationDraft(ScaledDraft):
    """A concatenation in the making.

    Parameters
    ----------
    shapes : sequence of (D, H, W, C)
        Of its inputs.
    nonnegative : bool
        Whether all of them are.
    """

    shapes: Sequence[Shape]
    nonnegative: bool

    @property
    def out_shape(self) -> Shape:
        return (*self.in_shape[:3], sum(shape[3] for shape in self.shapes))

    def build(self, setting: Setting) -> ConcatenationStage:
        signed = not self.relu and (setting.last or not self.nonnegative)
        return ConcatenationStage(self.place, self.shapes, self.out_shape, setting.output(signed))

    def floats(self, *inputs: Tensor) -> Tensor:
        y = torch.cat(inputs, 1)
        return y.relu() if self.relu else y


def concatenated(lowering: Lowering, name: str, source: str, values: Sequence[Value]) -> Value:
    """The channels of some values one after the other, all read as [N, C, ...] of the same positions."""
    first = values[0]
    channels = sum(value.shape[3] for value in values)
    shape = (*first.shape[:3], channels)
    nonnegative = all(value.nonnegative for value in values)
    draft = ConcatenationDraft(place(name, source, *values), [value.shape for value in values], nonnegative)
    axes = Axes.of(shape, len(first.axes))
    return lowering.append(draft, Value("", shape, nonnegative, axes=axes, relu_target=draft), axes)


def _cat(lowering: Lowering, name: str, call: Call, values: Sequence[Value]) -> Value:
    given = call.args[0] if call.args else call.kwargs["tensors"]
    dim = call.args[1] if len(call.args) > 1 else call.kwargs.get("dim", call.kwargs.get("axis", 0))
    if not all(isinstance(part, Operand) for part in given):
        raise Unsupported("puts a tensor of the model's own beside results, which is not supported")
    parts = [values[part] for part in given]
    if not isinstance(dim, int) or dim % len(call.read) == 0:
        raise Unsupported("joins the samples of a batch, which is not supported; dim=1 joins channels")
    number = dim % len(call.read) - 1
    if len(parts) == 1:
        return parts[0]
    if all(part.flat for part in parts):
        parts = [flatten_stream(lowering, f"{name}.{k}", part) for k, part in enumerate(parts)]
    elif number == 0:
        sides = [(f"{name}.{k}", part) for k, part in enumerate(parts)]
        parts = [p if p.axes.channels(p.shape) is None else need_volume(lowering, side, p) for side, p in sides]
    for part in parts:
        if not (part.volume or part.flat) or not part.axes.is_whole(number, C, part.shape):
            raise Unsupported(
                f"joins axis {number + 1} of {part.axes}, which is not supported; channels of [N, C, D, H, W], "
                "[N, C, H, W] or [N, C] are joined"
            )
    if len({part.shape[:3] for part in parts}) > 1:
        raise Unsupported(REPEATED)
    made = concatenated(lowering, name, name, _nested(lowering, name, list(parts)))
    lowering.concatenations[tuple(part.edge for part in parts)] = made.fork()
    return made


def _nested(lowering: Lowering, name: str, parts: list[Value]) -> list[Value]:
    """The parts with those put together that were so before, or of which one is made of the other.

    So dense blocks share their concatenations, and branches nest where they can: what is read on the way to the last
    part is put beside what comes of it.
    """
    for count in range(len(parts) - 1, 1, -1):
        made = lowering.concatenations.get(tuple(part.edge for part in parts[:count]))
        if made is None or made.relu_target is None or made.relu_target.relu:  # a reader's ReLU has become its clamp
            continue
        if made.axes == Axes.of(made.shape, len(parts[0].axes)):
            made.relu_target.shared = True
            parts = [made, *parts[count:]]
            break
    gate = lowering.gate([part.edge for part in parts])
    while len(parts) > 2:
        pairs = [(k, parts[k].edge, parts[k + 1].edge) for k in range(len(parts) - 2, -1, -1)]
        at = next((k for k, one, other in pairs if one != gate and lowering.comes_through(other, one)), None)
        if at is None:
            break
        parts[at : at + 2] = [concatenated(lowering, f"{name}.{at}", name, parts[at : at + 2])]
    return parts


CONCATENATION = Kind(joins=dict.fromkeys((torch.cat, torch.concat, torch.concatenate), _cat))
