"""Batch norm: a part of the requantiser of the contraction before it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from qtt_hw.lower.axes import C
from qtt_hw.lower.lowering import Call, Kind, Lowering
from qtt_hw.lower.value import Unsupported, Value

__all__ = ["BATCH_NORM"]


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
    target = x.norm_target if x.axes.is_whole(0, C, x.shape) else None
    if target is None:
        raise Unsupported(
            "does not directly follow a convolution or linear layer, which is not supported; right behind one it "
            "would be another network"
        )
    if target.batch_norm is not None:
        raise Unsupported("follows another batch norm, which is not supported; with one it would be another network")
    if target.relu:
        raise Unsupported("follows a ReLU, which is not supported; before the ReLU it would be another network")
    if x.forked:
        raise Unsupported(
            f"joins {target.source}, whose sums are read elsewhere too, which is not supported; before the fork it "
            "would be another network"
        )
    target.batch_norm = layer
    return x


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
