"""Layer by layer from PyTorch modules to drafts of stages: what is supported, and what there is for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT
from qtt_hw.lower.draft import (
    AddDraft,
    ContractionDraft,
    Draft,
    Gauge,
    NetworkDraft,
    PermutationDraft,
    PoolDraft,
    ReshapeDraft,
    SubsampleDraft,
)
from qtt_hw.lower.layers import NORMS, PASSING, WEIGHTED, layer_type, otherwise
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.planar import volumetric
from qtt_hw.nn.pool import PairAvgPool3d, PairMaxPool3d, PairPool3d
from qtt_hw.nn.qtt_conv import QTTConv3d
from qtt_hw.nn.subsample import Subsample
from qtt_hw.nn.tt_conv import TTConv2d, TTConv3d, TTConvNd
from qtt_hw.nn.tt_linear import TTLinear
from qtt_hw.nn.window import same_padding, triple
from qtt_hw.tt.chain import ChainStep
from qtt_hw.window import Shape, Window

__all__ = ["Lowering"]


class Lowering:
    """Drafts of a network's stages, layer by layer.

    Parameters
    ----------
    shape : tuple of int
        (D, H, W, C) of the input.
    input_format : Format
    tt_form : "streamed" or "merged"
        See `QuantConfig`.
    """

    def __init__(self, shape: Shape, input_format: Format, tt_form: Literal["streamed", "merged"] = "streamed") -> None:
        self.tt_form = tt_form
        self.network = NetworkDraft()
        self.input = Value(INPUT, shape, nonnegative=not input_format.signed)
        self.names: set[str] = {INPUT}
        self.used: set[str] = set()

    def apply(self, name: str, module: nn.Module, x: Value) -> Value:
        """The result of one module; raises Unsupported."""
        kind = layer_type(module)
        if kind is None:
            raise Unsupported(f"is not supported; {otherwise(module)}")
        layer = volumetric(module, kind)
        handler = _HANDLERS[kind if layer is module else type(layer)]
        if issubclass(kind, WEIGHTED):
            self.weighted(name, module)
        try:
            return handler(self, name, layer, x)
        except Unsupported:
            raise
        except ValueError as error:
            if x.blind:  # its shape is not known
                return x
            raise Unsupported(f"does not fit its input: {error}; change the layer or the input size") from None

    def weighted(self, name: str, module: nn.Module) -> None:
        """The conditions on the weights of a layer, which become a stage's own."""
        if name in self.used:
            raise Unsupported("is called twice, and shared weights are not supported; copies of it would train apart")
        self.used.add(name)
        for tensor in ("weight", "bias"):
            value = getattr(module, tensor, None)
            if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
                raise Unsupported(f"has a {tensor} that is no nn.Parameter; what computes it would not be trained")

    def sum(self, name: str, a: Value, b: Value) -> Value:
        """The result of an addition; raises Unsupported."""
        if a.blind or b.blind:
            return replace(a, blind=True)
        if a.edge == b.edge:
            raise Unsupported(
                "adds a result to itself, which is not supported; a layer before it of twice the weights and bias "
                "computes the same"
            )
        if a.flat and b.flat and a.shape != b.shape:
            a, b = self.flatten_stream(f"{name}.left", a), self.flatten_stream(f"{name}.right", b)
        if a.shape != b.shape or a.flat != b.flat:
            raise Unsupported(f"adds {_channels_first(b)} to {_channels_first(a)}; give both branches the same shape")
        nonnegative = a.nonnegative and b.nonnegative
        draft = AddDraft(name, (a.edge, b.edge), name, a.shape, nonnegative)
        return self.append(draft, Value("", a.shape, nonnegative, a.flat, relu_target=draft))

    # Drafts

    def append(self, draft: Draft, like: Value) -> Value:
        """Append a stage; its output, with what `like` says besides edge and shape."""
        if draft.name in self.names:
            draft.name = next(f"{draft.name}_{i}" for i in range(1, 10**6) if f"{draft.name}_{i}" not in self.names)
        shape = draft.out_shape  # checks the window
        self.names.add(draft.name)
        self.network.drafts.append(draft)
        return replace(like, edge=draft.name, shape=shape)

    def contraction(self, name: str, source: str, x: Value, window: Window, weight: torch.Tensor, **more: Any) -> Value:
        """A contraction; unless it is an intermediate one, it ends a layer, whose batch norm and ReLU may join it."""
        layer = self.network.layers
        draft = ContractionDraft(name, (x.edge,), source, x.shape, window, weight.detach(), layer, **more)
        if not draft.intermediate:
            self.network.layers += 1
        return self.append(draft, Value("", x.shape, flat=x.flat, norm_target=draft, relu_target=draft))

    def flatten_stream(self, name: str, x: Value) -> Value:
        """Carry a pending flatten out: one position whose channels stand in the order C, D, H, W."""
        d, h, w, c = x.shape
        if d * h * w == 1:
            return x
        size = d * h * w * c
        x = replace(x, norm_target=None)
        x = self.append(ReshapeDraft(f"{name}.flatten", (x.edge,), name, x.shape, (1, 1, 1, size)), x)
        if c == 1:
            return x
        order = torch.arange(size).view(d, h, w, c).permute(3, 0, 1, 2).flatten()
        return self.append(PermutationDraft(f"{name}.order", (x.edge,), name, x.shape, tuple(order.tolist())), x)

    # Layers

    def conv(self, name: str, layer: nn.Conv3d, x: Value) -> Value:
        if layer.groups != 1:
            raise Unsupported(f"has groups={layer.groups}, which is not supported; groups=1 would be another network")
        if tuple(layer.dilation) != (1, 1, 1):
            spread = tuple((k - 1) * d + 1 for k, d in zip(layer.weight.shape[2:], layer.dilation, strict=True))
            raise Unsupported(
                f"has dilation={tuple(layer.dilation)}, which is not supported; a kernel of {spread} (D, H, W) with "
                "zeros between its taps computes the same until it is trained"
            )
        if layer.padding_mode != "zeros":
            raise Unsupported(
                f"has padding_mode={layer.padding_mode!r}, which is not supported; 'zeros' would be another network"
            )
        kernel, stride = triple(layer.weight.shape[2:], "kernel"), triple(layer.stride, "stride")
        window = Window(kernel, stride, same_padding(kernel, stride, layer.padding))
        return self.contraction(name, name, x, window, layer.weight, bias=layer.bias)

    def tt_conv(self, name: str, layer: TTConvNd, x: Value) -> Value:
        last = len(layer.stages) - 1
        for k, (stage, axis, core) in enumerate(zip(layer.stages, layer.stage_axes, layer.cores, strict=True)):
            kernel, stride, padding = [1, 1, 1], [1, 1, 1], [(0, 0)] * 3
            if axis is not None:
                kernel[axis], stride[axis] = layer.kernel_size[axis], layer.stride[axis]
                padding[axis] = layer.padding[axis]
            window = Window((*kernel,), (*stride,), (*padding,))  # type: ignore[arg-type]
            bias = layer.bias if k == last else None
            if k > 0:
                here = len(self.network.drafts)
                rank = (int(core.shape[1]),)
                self.network.gauges.append(Gauge(here - 1, here, rank, 0, rank, 0))
            x = self.contraction(f"{name}.{stage}", name, x, window, core, bias=bias, intermediate=k < last)
        return x

    def qtt_conv(self, name: str, layer: QTTConv3d, x: Value) -> Value:
        window = Window(layer.kernel_size, layer.stride, layer.padding)
        if self.tt_form == "merged":
            cores = [core.detach() for core in layer.train_cores()]
            return self.contraction(name, name, x, window, layer.kernel(), bias=layer.bias, cores=cores)
        steps = layer.steps()
        return self.steps(name, x, steps, [layer.step_weight(step) for step in steps], window, layer.bias)

    def linear(self, name: str, layer: nn.Linear, x: Value) -> Value:
        _need_flat("nn.Linear", x)
        d, h, w, c = x.shape
        if layer.weight.shape[1] != d * h * w * c:
            raise ValueError(f"takes {layer.weight.shape[1]} features, got {d * h * w * c}")
        weight = layer.weight.detach().view(-1, c, d, h, w)
        return self.contraction(name, name, x, Window((d, h, w)), weight, bias=layer.bias)

    def tt_linear(self, name: str, layer: TTLinear, x: Value) -> Value:
        _need_flat("TTLinear", x)
        x = self.flatten_stream(name, x)
        steps = layer.steps()
        weights = [layer.step_weight(step)[:, :, None, None, None] for step in steps]
        return self.steps(name, x, steps, weights, Window(), layer.bias)

    def steps(
        self,
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
                here = len(self.network.drafts)
                out_axis = len(previous.made) - 1 if step.forward else 0
                in_axis = 0 if step.forward else len(step.taken) - 1
                self.network.gauges.append(Gauge(here - 1, here, previous.made, out_axis, step.taken, in_axis))
            x = self.contraction(
                f"{name}.{step.name}",
                name,
                x,
                window if step.first == 0 else Window(),
                weight,
                bias=bias if last else None,
                intermediate=not last,
                lead=step.lead,
                trail=step.trail,
            )
            previous = step
        return x

    def norm(self, name: str, layer: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, x: Value) -> Value:
        if not layer.track_running_stats or layer.running_mean is None:
            raise Unsupported(
                "has track_running_stats=False, which is not supported: it normalises by the batch in evaluation too"
            )
        if layer.weight is None or layer.bias is None:
            raise Unsupported(
                "has no weight or no bias, which is not supported; affine=True computes the same until it is trained"
            )
        if x.blind:
            return x
        target = x.norm_target
        if target is None:
            raise Unsupported(
                "does not directly follow a convolution or linear layer, which is not supported; right behind one it "
                "would be another network"
            )
        if target.batch_norm is not None:
            raise Unsupported(
                "follows another batch norm, which is not supported; with one it would be another network"
            )
        if target.relu:
            raise Unsupported("follows a ReLU, which is not supported; before the ReLU it would be another network")
        if x.forked:
            raise Unsupported(
                f"joins {target.source}, whose sums are read elsewhere too, which is not supported; before the fork it "
                "would be another network"
            )
        target.batch_norm = layer
        return x

    def relu(self, name: str, layer: nn.Module, x: Value) -> Value:
        if x.nonnegative or x.blind:
            return x
        if x.relu_target is None:
            raise Unsupported(
                "follows an average pool or the input, which is not supported; before the pool, right behind a layer, "
                "it would be another network"
            )
        if x.forked:
            target = x.relu_target.source
            raise Unsupported(
                f"joins {target}, whose output is read without it elsewhere, which is not supported; before the fork "
                "it would be another network"
            )
        # Maximum, flatten, permutation and subsampling commute with ReLU, so it moves back to the clamp.
        x.relu_target.relu = True
        return replace(x, nonnegative=True)

    def pool(self, name: str, kind: Literal["max", "average"], window: Window, x: Value) -> Value:
        y = self.append(PoolDraft(name, (x.edge,), name, x.shape, kind, window), replace(x, norm_target=None))
        return y if kind == "max" else replace(y, relu_target=None)

    def max_pool(self, name: str, layer: nn.MaxPool3d, x: Value) -> Value:
        _need_floor(layer)
        if layer.return_indices:
            raise Unsupported("has return_indices=True, which is not supported; without it the maxima are the same")
        if triple(layer.dilation, "dilation") != (1, 1, 1):
            raise Unsupported(
                f"has dilation={layer.dilation}, which is not supported; dilation=1 would be another network"
            )
        return self.pool(name, "max", _pool_window(layer), x)

    def average_pool(self, name: str, layer: nn.AvgPool3d, x: Value) -> Value:
        _need_floor(layer)
        if layer.divisor_override is not None:
            raise Unsupported(
                f"has divisor_override={layer.divisor_override}, which is not supported; without it, with the weights "
                "of the layer behind it scaled, it computes the same"
            )
        window = _pool_window(layer)
        if layer.count_include_pad and any(before for before, _ in window.padding):
            raise Unsupported(
                "counts padding in the mean, which is not supported; count_include_pad=False would be another network"
            )
        return self.pool(name, "average", window, x)

    def pair_pool(self, name: str, layer: PairPool3d, x: Value) -> Value:
        return self.pool(name, layer.kind, layer.window(x.shape[:3]), x)

    def global_pool(self, name: str, layer: nn.AdaptiveAvgPool3d, x: Value) -> Value:
        size = layer.output_size
        if not all(n == 1 for n in (size if isinstance(size, tuple) else (size,))):
            raise Unsupported(
                f"has output size {size}, which is not supported; 1 is, and an average pool with a kernel computes the "
                "same where the sizes divide the map"
            )
        d, h, w, _ = x.shape
        return self.pool(name, "average", Window((d, h, w), (d, h, w)), x)

    def subsample(self, name: str, layer: Subsample, x: Value) -> Value:
        if x.flat and x.shape[:3] != (1, 1, 1) and not x.blind:
            raise Unsupported("reads a flattened map, which is not supported; before the flatten it computes the same")
        d, h, w = (layer.stride if size > 1 else 1 for size in x.shape[:3])
        draft = SubsampleDraft(name, (x.edge,), name, x.shape, (d, h, w), layer.out_channels, layer.before)
        return self.append(draft, replace(x, norm_target=None))

    def flatten(self, name: str, layer: nn.Flatten, x: Value) -> Value:
        if layer.start_dim != 1 or layer.end_dim != -1:
            raise Unsupported("flattens other axes than all but the batch, which is not supported; nn.Flatten() is")
        one = x.shape[:3] == (1, 1, 1)
        return replace(x, flat=True, norm_target=x.norm_target if one else None)

    def drop(self, name: str, layer: nn.Module, x: Value) -> Value:
        """Dropout and identity leave no stage."""
        return x


def _need_flat(what: str, x: Value) -> None:
    if not x.flat and not x.blind:
        raise Unsupported(
            f"would act on the last axis of a volume, which is not supported; nn.Flatten() before {what} would be "
            "another network"
        )


def _need_floor(layer: nn.MaxPool3d | nn.AvgPool3d) -> None:
    if layer.ceil_mode:
        raise Unsupported(
            "has ceil_mode=True, which is not supported; ceil_mode=False computes the same only where the windows fit"
        )


def _channels_first(x: Value) -> list[int]:
    """The shape as PyTorch writes it, without the batch."""
    d, h, w, c = x.shape
    return [c, d, h, w]


def _pool_window(layer: nn.MaxPool3d | nn.AvgPool3d) -> Window:
    kernel = triple(layer.kernel_size, "kernel_size")
    stride = triple(layer.stride, "stride")
    return Window(kernel, stride, same_padding(kernel, stride, layer.padding))


_HANDLERS: dict[type[nn.Module], Callable[[Lowering, str, Any, Value], Value]] = {
    nn.Conv3d: Lowering.conv,
    TTConv2d: Lowering.tt_conv,
    TTConv3d: Lowering.tt_conv,
    QTTConv3d: Lowering.qtt_conv,
    nn.Linear: Lowering.linear,
    TTLinear: Lowering.tt_linear,
    **dict.fromkeys(NORMS, Lowering.norm),
    nn.ReLU: Lowering.relu,
    nn.MaxPool3d: Lowering.max_pool,
    nn.AvgPool3d: Lowering.average_pool,
    PairMaxPool3d: Lowering.pair_pool,
    PairAvgPool3d: Lowering.pair_pool,
    nn.AdaptiveAvgPool3d: Lowering.global_pool,
    Subsample: Lowering.subsample,
    nn.Flatten: Lowering.flatten,
    **dict.fromkeys(PASSING, Lowering.drop),
}
