"""Batch norm: a part of the requantiser of the contraction before it, or of a stage that does nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from qtt_hw.lower.axes import C
from qtt_hw.lower.draft import Setting
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.kinds.dense import ContractionDraft
from qtt_hw.lower.kinds.rearrange import flatten_stream
from qtt_hw.lower.kinds.scaling import joins_layer
from qtt_hw.lower.lowering import Call, Kind, Lowering, place
from qtt_hw.lower.scaling import Scaling
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.quant import UniformQuantizer
from qtt_hw.window import Window

__all__ = ["BATCH_NORM", "scaling_stage"]

#: Bits of a weight that is 1.
ONE_BITS = 2


@dataclass
class NormalisationDraft(ContractionDraft):
    """A batch norm that no requantiser takes in: a depthwise contraction, each channel times 1, then requantised."""

    def _stage(self, setting: Setting) -> ContractionStage:
        quantizer = UniformQuantizer(ONE_BITS)
        quantizer.log2_scale.requires_grad_(False)
        norm, _ = self._affine(setting)
        return ContractionStage(
            *(self.place, self.window, self.weight, quantizer, setting.output(not self.relu)),
            batch_norm=norm,
            groups=self.groups,
        )


def _norm(lowering: Lowering, name: str, layer: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, x: Value) -> Value:
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
    if x.flat and not x.axes.is_whole(0, C, x.shape):
        x = flatten_stream(lowering, f"{name}.input", x)
    if not x.axes.is_whole(0, C, x.shape):
        raise Unsupported(
            f"normalises the first axis of {x.axes}, which is not supported, as it is not the channels; "
            "where these are first, it computes the same"
        )
    channels = x.shape[3]
    if layer.num_features != channels:
        raise ValueError(f"has {layer.num_features} features for {channels} channels")
    if joins_layer(x) and x.norm_target is not None and x.norm_target.normalise(layer):
        return x
    draft = NormalisationDraft(
        *(place(name, name, x), Window(), torch.ones(channels, 1, 1, 1, 1), lowering.network.layers),
        groups=channels,
        trained=False,
        batch_norm=layer,
    )
    return lowering.append(draft, replace(x, nonnegative=False, norm_target=draft, relu_target=draft, forked=False))


def scaling_stage(lowering: Lowering, name: str, x: Value, scaling: Scaling) -> Value:
    """A stage that does nothing but scale by channel."""
    channels = x.shape[3]
    draft = NormalisationDraft(
        *(place(name, name, x), Window(), torch.ones(channels, 1, 1, 1, 1), lowering.network.layers),
        groups=channels,
        trained=False,
        scaling=scaling,
    )
    return lowering.append(draft, replace(x, nonnegative=False, norm_target=None, relu_target=draft, forked=False))


def _call(lowering: Lowering, name: str, call: Call, x: Value) -> Value:
    names = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    given = dict(zip(names, call.args, strict=False)) | dict(call.kwargs)
    if given.get("training"):
        raise Unsupported("normalises by the batch in evaluation, which is not supported: give training=self.training")
    layer = nn.BatchNorm3d(x.shape[3], given.get("eps", 1e-5), given.get("momentum", 0.1), device="meta")
    for tensor in ("weight", "bias"):
        setattr(layer, tensor, given.get(tensor))
    for tensor in ("running_mean", "running_var"):
        layer.register_buffer(tensor, given[tensor])
    layer.num_batches_tracked = torch.ones((), dtype=torch.int64)
    lowering.use_weights(name, layer)
    return _norm(lowering, name, layer, x)


BATCH_NORM = Kind(
    dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _norm),
    calls={F.batch_norm: _call},
    weighted=True,
)
