"""Layers that put out what they read, itself, in evaluation: they leave no stage."""

from __future__ import annotations

from torch import nn

from qtt_hw.lower.lowering import Kind, Lowering
from qtt_hw.lower.value import Value

__all__ = ["PASSING"]


def _pass(lowering: Lowering, name: str, layer: nn.Module, x: Value) -> Value:
    return x


_LAYERS: tuple[type[nn.Module], ...] = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)

PASSING = Kind(dict.fromkeys(_LAYERS, _pass), {"contiguous": nn.Identity}, passing=True)
