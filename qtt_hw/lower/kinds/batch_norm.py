"""Batch norm: a part of the requantiser of the contraction before it."""

from __future__ import annotations

from torch import nn

from qtt_hw.lower.axes import C
from qtt_hw.lower.lowering import Kind, Lowering
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


BATCH_NORM = Kind(dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _norm), weighted=True)
