"""Convolutions and linear layers: a contraction each, which batch norm and ReLU may join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.lower.axes import Axes, C
from qtt_hw.lower.draft import NormDraft, Setting
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.kinds.merged import MergedStage
from qtt_hw.lower.kinds.padding import Padding, taken_in
from qtt_hw.lower.kinds.rearrange import need_flat, need_volume
from qtt_hw.lower.kinds.scaling import Scaled, taken_into, with_scaling
from qtt_hw.lower.lowering import Call, Kind, Lowering, place
from qtt_hw.lower.scaling import Scaling, parameter
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.contraction import contract
from qtt_hw.nn.planar import volumetric
from qtt_hw.nn.window import same_padding, triple
from qtt_hw.quant import BatchNorm, ChannelAffine, RoundedBatchNorm, weight_quantizer
from qtt_hw.window import Shape, Window

__all__ = ["DENSE", "ContractionDraft", "contraction"]


@dataclass
class ContractionDraft(NormDraft):
    """A contraction in the making.

    Parameters
    ----------
    window : Window
    weight : float tensor, [out, in, kd, kh, kw]
    layer : int
        Index among the layers with weights.
    bias : float tensor, [channels], optional
    intermediate : bool
        Within a tensor train.
    lead, trail : int
        Sizes of the channel modes that are carried along.
    groups : int
        Of channels, each with weights of its own.
    cores : sequence of float tensor, [r, c, s, r']
        Of a tensor train that is merged: their product is the weight.
    trained : bool
        Whether training moves the weight.
    """

    window: Window
    weight: Tensor
    layer: int
    bias: Tensor | None = None
    intermediate: bool = False
    lead: int = 1
    trail: int = 1
    groups: int = 1
    cores: Sequence[Tensor] = ()
    trained: bool = True

    @property
    def out_shape(self) -> Shape:
        channels = self.lead * int(self.weight.shape[0]) * self.trail
        return (*self.window.out_positions(self.in_shape), channels)

    def build(self, setting: Setting) -> ContractionStage:
        stage = self._stage(setting)
        if not self.trained:
            stage.fix_weight()
        return stage

    def _stage(self, setting: Setting) -> ContractionStage:
        config, fixed = setting.config, setting.config.scales == "fixed"
        weight_bits = config.layer_weight_bits(self.layer == 0, self.layer == setting.layers - 1)
        norm, bias = self._affine(setting)
        output = setting.output(not self.relu, self.intermediate)
        if self.cores:
            return MergedStage(
                *(self.place, self.window, self.cores, weight_bits, output),
                fixed_weight=fixed,
                bias=bias,
                batch_norm=norm,
            )
        quantizer = weight_quantizer(config, weight_bits, self.weight.shape)
        return ContractionStage(
            *(self.place, self.window, self.weight, quantizer, output),
            bias=bias,
            batch_norm=norm,
            modes=(self.lead, self.trail),
            groups=self.groups,
        )

    def _affine(self, setting: Setting) -> tuple[BatchNorm | None, Tensor | None]:
        """Batch norm and bias, of which it has one at most."""
        source, bias, channels = self.batch_norm, self.bias, self.out_shape[3]
        if self.scaling is not None:
            return ChannelAffine(channels, self.scaling.slope, self.scaling.offset), None
        if source is None:
            return None, bias
        norm = (
            RoundedBatchNorm(channels, setting.config.activation_bits, source.eps, source.momentum)
            if setting.config.scales == "fixed"
            else BatchNorm(channels, source.eps, source.momentum)
        )
        norm.load_state_dict({name: getattr(source, name).detach() for name in norm.state_dict()})
        norm.trained = source.num_batches_tracked is not None and int(source.num_batches_tracked) > 0
        norm.weight.requires_grad_(source.weight.requires_grad)
        norm.bias.requires_grad_(source.bias.requires_grad)
        # The statistics are of the sums without the bias; the shift is batch norm's own. Where there are none yet they
        # stay so, to be estimated.
        if bias is not None and norm.has_statistics:
            norm.running_mean.sub_(bias.detach())
        return norm, None

    def scale(self, scaling: Scaling) -> None:
        channels, norm, bias = self.out_shape[3], self.batch_norm, self.bias
        if norm is not None:
            slope, offset = scaling.over(channels)
            self.batch_norm = _like(norm)
            self.batch_norm.weight = parameter(norm.weight * slope, norm.weight, scaling.slope)
            self.batch_norm.bias = parameter(norm.bias * slope + offset, norm.bias, scaling.offset)
        elif self.scaling is not None:
            self.scaling = scaling.behind(self.scaling.slope, self.scaling.offset)
        elif scaling.only_adds and (bias is not None or len(scaling.offset) == channels):
            offset = scaling.over(channels)[1]
            self.bias = parameter(offset if bias is None else offset + bias, scaling.offset, bias)
        else:
            self.scaling = scaling if bias is None else scaling.behind(torch.ones(1), bias)
            self.bias = None

    def normalise(self, batch_norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> bool:
        if self.batch_norm is not None:
            return False
        if self.scaling is not None:
            if self.lead * self.trail > 1 or len(self.cores):
                return False
            slope, offset = self.scaling.over(self.out_shape[3])
            self.weight, self.bias = self.weight * slope.view(-1, 1, 1, 1, 1), parameter(offset, self.scaling.offset)
            self.scaling = None
        self.batch_norm = batch_norm
        return True

    def floats(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        y = contract(x, self.weight.to(x), self.window, self.lead, self.trail, self.groups)
        if self.bias is not None:
            y = y + self.bias.to(x).view(-1, 1, 1, 1)
        norm = self.batch_norm
        if norm is not None:
            statistics = norm.running_mean, norm.running_var, norm.weight, norm.bias
            mean, var, weight, bias = (None if t is None else t.to(x) for t in statistics)
            y = F.batch_norm(y, mean, var, weight, bias, training=False, eps=norm.eps)
        if self.scaling is not None:
            y = self.scaling.of(y)
        return y.relu() if self.relu else y


def _like(norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> nn.BatchNorm3d:
    """A batch norm with the statistics of another, and parameters that are yet to be set."""
    made = nn.BatchNorm3d(norm.num_features, norm.eps, norm.momentum, device="meta")
    for name, buffer in norm.named_buffers():
        made.register_buffer(name, buffer)
    return made


def contraction(
    lowering: Lowering,
    name: str,
    source: str,
    x: Value,
    window: Window,
    weight: Tensor,
    axes: Axes | None = None,
    **more: Any,
) -> Value:
    """A contraction; unless it is an intermediate one, it ends a layer, whose batch norm and ReLU may join it.

    `axes` are those of its result, where they are not read as those of x.
    """
    trained = source not in lowering.fixed
    index = lowering.network.layers
    draft = ContractionDraft(place(name, source, x), window, weight.detach(), index, trained=trained, **more)
    if not draft.intermediate:
        lowering.network.layers += 1
    return lowering.append(draft, Value("", x.shape, axes=x.axes, norm_target=draft, relu_target=draft), axes)


def _conv(lowering: Lowering, name: str, layer: nn.Conv3d, x: Value) -> Value:
    if layer.padding_mode != "zeros":
        raise Unsupported(
            f"has padding_mode={layer.padding_mode!r}, which is not supported; 'zeros' would be another network"
        )
    x = need_volume(lowering, name, x)
    kernel, stride = triple(layer.weight.shape[2:], "kernel"), triple(layer.stride, "stride")
    dilation = triple(layer.dilation, "dilation")
    window = Window(kernel, stride, same_padding(kernel, stride, layer.padding, dilation), dilation)
    weight: Tensor = layer.weight
    bias: Tensor | None = layer.bias
    if taken_into(x, bias, name not in lowering.fixed, padded=any(map(any, window.padding))):
        x, weight, bias = with_scaling(x, weight, bias, layer.groups)
    x, window = taken_in(lowering, lowering.settled(x, (Padding,)), window)
    return contraction(lowering, name, name, x, window, weight, bias=bias, groups=layer.groups)


def _linear(lowering: Lowering, name: str, layer: nn.Linear, x: Value) -> Value:
    kernel: Tensor = layer.weight
    bias: Tensor | None = layer.bias
    made, features = kernel.shape
    if x.axes.sizes[-1] != features:
        raise ValueError(f"takes {features} features, got {x.axes.sizes[-1]}")
    if x.axes.is_whole(-1, C, x.shape) and taken_into(x, bias, name not in lowering.fixed, padded=False):
        x, kernel, bias = with_scaling(x, kernel, bias, 1)
    x, weight = lowering.settled(x), kernel.detach()
    d, h, w, c = x.shape
    if not x.flat and x.axes.is_whole(-1, C, x.shape):
        axes = x.axes.with_channels(x.shape, made)
        return contraction(lowering, name, name, x, Window(), weight.view(made, c, 1, 1, 1), axes, bias=bias)
    need_flat("nn.Linear", x)
    if not x.flat:  # behind what is not followed
        return x
    weight = weight[:, x.axes.order(x.shape).argsort()].view(made, d, h, w, c)
    weight = weight.permute(0, 4, 1, 2, 3).contiguous()
    axes = Axes.of((1, 1, 1, made), 1)
    return contraction(lowering, name, name, x, Window((d, h, w)), weight, axes, bias=bias)


def _given(call: Call, names: Sequence[str]) -> dict[str, Any]:
    """A call's arguments by name; raises Unsupported where the weight is no parameter of the model."""
    given = dict(zip(names, call.args, strict=False)) | dict(call.kwargs)
    for name in ("weight", "bias"):
        tensor = given.get(name)
        if not (isinstance(tensor, nn.Parameter) or (name == "bias" and tensor is None)):
            raise Unsupported(f"has a {name} that is no nn.Parameter; what computes it would not be trained")
    return given


def _call_linear(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    given = _given(call, ("weight", "bias"))
    layer: Any = nn.Linear(1, 1, device="meta")
    layer.weight, layer.bias = given["weight"], given.get("bias")
    lowering.use_weights(name, layer)
    return _linear(lowering, name, layer, x)


def _call_conv(lowering: Lowering, name: str, call: Call, x: Value, form: type[nn.Conv2d] | type[nn.Conv3d]) -> Value:
    given = _given(call, ("weight", "bias", "stride", "padding", "dilation", "groups"))
    weight, bias = given.pop("weight"), given.pop("bias", None)
    made, taken, *kernel = weight.shape
    groups = given.get("groups", 1)
    layer = form(taken * groups, made, tuple(kernel), bias=bias is not None, device="meta", **given)
    layer.weight, layer.bias = weight, bias
    lowering.use_weights(name, layer)
    return _conv(lowering, name, volumetric(layer), x)  # type: ignore[arg-type]


DENSE = Kind(
    {nn.Conv3d: _conv, nn.Linear: _linear},
    calls={
        F.linear: _call_linear,
        F.conv2d: partial(_call_conv, form=nn.Conv2d),
        F.conv3d: partial(_call_conv, form=nn.Conv3d),
    },
    takes=(Padding, Scaled),
    weighted=True,
)
