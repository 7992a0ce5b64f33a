"""Layers that put out what they read, itself, in evaluation: they leave no stage."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from qtt_hw.lower.kinds.scaling import Scaled
from qtt_hw.lower.lowering import Kind, Lowering
from qtt_hw.lower.value import Unsupported, Value

__all__ = ["PASSING"]


def _pass(lowering: Lowering, name: str, layer: nn.Module, x: Value) -> Value:
    return x


_LAYERS: tuple[type[nn.Module], ...] = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_LAYERS += (nn.AlphaDropout, nn.FeatureAlphaDropout)


def _unchanged(input: Any, *, memory_format: Any = None) -> nn.Module:
    return nn.Identity()


def _dropped(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module:
    if training:
        raise Unsupported("drops in evaluation too, which is not supported; with training=self.training it is followed")
    return nn.Identity()


def _dropped_alpha(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> nn.Module:
    return _dropped(input, p, training)


def _dropped_by(input: Any, p: float, train: bool) -> nn.Module:
    return _dropped(input, p, train)


#: Functions that F's call.
_OF_C = (torch.dropout, torch.feature_dropout, torch.alpha_dropout, torch.feature_alpha_dropout)

PASSING = Kind(
    dict.fromkeys(_LAYERS, _pass),
    {
        **dict.fromkeys(("contiguous", "clone", torch.clone), _unchanged),
        **dict.fromkeys((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d), _dropped),
        **dict.fromkeys((F.alpha_dropout, F.feature_alpha_dropout), _dropped_alpha),
        **dict.fromkeys(_OF_C, _dropped_by),
    },
    takes=(Scaled,),
    passing=True,
)
