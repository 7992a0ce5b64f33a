"""Layers in tensor trains: a contraction for each step of their path, or one dense contraction of the merged cores."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from qtt_hw.lower.draft import Gauge
from qtt_hw.lower.kinds.dense import contraction
from qtt_hw.lower.kinds.rearrange import flatten_stream, need_flat, need_volume
from qtt_hw.lower.lowering import Kind, Lowering
from qtt_hw.lower.value import Value
from qtt_hw.nn.qtt_conv import QTTConv3d
from qtt_hw.nn.tt_conv import TTConv2d, TTConv3d, TTConvNd
from qtt_hw.nn.tt_linear import TTLinear
from qtt_hw.tt.chain import ChainStep
from qtt_hw.window import Window

__all__ = ["TENSOR_TRAIN"]


def _tt_conv(lowering: Lowering, name: str, layer: TTConvNd, x: Value) -> Value:
    x = need_volume(lowering, name, x)
    last = len(layer.stages) - 1
    for k, (stage, axis, core) in enumerate(zip(layer.stages, layer.stage_axes, layer.cores, strict=True)):
        kernel, stride, padding, dilation = [1, 1, 1], [1, 1, 1], [(0, 0)] * 3, [1, 1, 1]
        if axis is not None:
            kernel[axis], stride[axis] = layer.kernel_size[axis], layer.stride[axis]
            padding[axis], dilation[axis] = layer.padding[axis], layer.dilation[axis]
        window = Window((*kernel,), (*stride,), (*padding,), (*dilation,))  # type: ignore[arg-type]
        bias = layer.bias if k == last else None
        if k > 0:
            rank = (int(core.shape[1]),)
            _gauge(lowering, rank, 0, rank, 0)
        x = contraction(lowering, f"{name}.{stage}", name, x, window, core, bias=bias, intermediate=k < last)
    return x


def _gauge(lowering: Lowering, made: tuple[int, ...], out_axis: int, taken: tuple[int, ...], in_axis: int) -> None:
    """A rank between the last contraction and the next one."""
    here = len(lowering.network.drafts)
    lowering.network.gauges.append(Gauge(here - 1, here, made, out_axis, taken, in_axis))


def _qtt_conv(lowering: Lowering, name: str, layer: QTTConv3d, x: Value) -> Value:
    x = need_volume(lowering, name, x)
    window = layer.window
    if lowering.tt_form == "merged":
        cores = [core.detach() for core in layer.train_cores()]
        return contraction(lowering, name, name, x, window, layer.kernel(), bias=layer.bias, cores=cores)
    steps = layer.steps()
    return _steps(lowering, name, x, steps, [layer.step_weight(step) for step in steps], window, layer.bias)


def _tt_linear(lowering: Lowering, name: str, layer: TTLinear, x: Value) -> Value:
    need_flat("TTLinear", x)
    x = flatten_stream(lowering, name, x)
    steps = layer.steps()
    weights = [layer.step_weight(step)[:, :, None, None, None] for step in steps]
    return _steps(lowering, name, x, steps, weights, Window(), layer.bias)


def _steps(
    lowering: Lowering,
    name: str,
    x: Value,
    steps: Sequence[ChainStep],
    weights: Sequence[torch.Tensor],
    window: Window,
    bias: torch.Tensor | None,
) -> Value:
    """A contraction for each step of a tensor train; the window is that of the step with core 0."""
    previous: ChainStep | None = None
    for step, weight in zip(steps, weights, strict=True):
        last = step is steps[-1]
        if previous is not None:
            out_axis = len(previous.made) - 1 if step.forward else 0
            in_axis = 0 if step.forward else len(step.taken) - 1
            _gauge(lowering, previous.made, out_axis, step.taken, in_axis)
        x = contraction(
            *(lowering, f"{name}.{step.name}", name, x, window if step.first == 0 else Window(), weight),
            bias=bias if last else None,
            intermediate=not last,
            lead=step.lead,
            trail=step.trail,
        )
        previous = step
    return x


TENSOR_TRAIN = Kind(
    {TTConv2d: _tt_conv, TTConv3d: _tt_conv, QTTConv3d: _qtt_conv, TTLinear: _tt_linear},
    weighted=True,
)
