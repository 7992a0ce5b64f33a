"""Which layers are supported, what a module computes as, and what there is for the others."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from torch import nn

from qtt_hw.nn.pool import PairAvgPool3d, PairMaxPool3d
from qtt_hw.nn.qtt_conv import QTTConv3d
from qtt_hw.nn.subsample import Subsample
from qtt_hw.nn.tt_conv import TTConv2d, TTConv3d
from qtt_hw.nn.tt_linear import TTLinear

__all__ = ["MADE_OF", "NORMS", "OWN", "PASSING", "TYPES", "WEIGHTED", "is_layer", "layer_type", "otherwise"]

NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
#: Layers with weights, which become a stage's own.
WEIGHTED = (nn.Conv2d, nn.Conv3d, TTConv2d, TTConv3d, QTTConv3d, nn.Linear, TTLinear, *NORMS)
#: Layers that put out what they read, itself, in evaluation.
PASSING: tuple[type[nn.Module], ...] = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_POOLS = (nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
#: This project's layers.
OWN = (TTConv2d, TTConv3d, QTTConv3d, TTLinear, PairMaxPool3d, PairAvgPool3d, Subsample)
#: All layers that have a lowering.
TYPES: frozenset[type[nn.Module]] = frozenset((*WEIGHTED, *PASSING, *_POOLS, *OWN, nn.ReLU, nn.Flatten))

#: What a network may hold.
MADE_OF = (
    "a network is made of Conv2d, Conv3d, TTConv2d, TTConv3d, QTTConv3d, Linear, TTLinear, batch norm, ReLU, pools and "
    "additions"
)


def _another(layer: str) -> str:
    return f"{layer} in its place would be another network, to be trained as such"


#: What there is for a layer that has no lowering, by class name: what computes the same, or what does not.
_OTHERWISE = {
    **dict.fromkeys(
        ("Conv1d", "MaxPool1d", "AvgPool1d", "AdaptiveAvgPool1d"),
        "its 2D form on inputs [N, C, 1, W] computes the same",
    ),
    **dict.fromkeys(
        ("ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Hardtanh", "Hardswish"),
        _another("nn.ReLU"),
    ),
    **dict.fromkeys(
        ("GroupNorm", "LayerNorm", "InstanceNorm2d", "InstanceNorm3d", "LocalResponseNorm"),
        _another("batch norm behind a convolution"),
    ),
    "SyncBatchNorm": "nn.BatchNorm3d with its parameters and statistics computes the same",
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "Softmax2d"), "leave it out: the hardware puts out logits and their argmax"
    ),
    "AdaptiveMaxPool2d": "nn.MaxPool2d computes the same where its sizes divide the map",
    "AdaptiveMaxPool3d": "nn.MaxPool3d computes the same where its sizes divide the map",
    **dict.fromkeys(("FractionalMaxPool2d", "FractionalMaxPool3d"), _another("a max pool")),
    **dict.fromkeys(("LPPool2d", "LPPool3d"), _another("an average pool")),
    **dict.fromkeys(("ConvTranspose2d", "ConvTranspose3d"), _another("a convolution")),
    "Unflatten": "a map is flattened once, before the first nn.Linear",
    **dict.fromkeys(("DataParallel", "DistributedDataParallel"), "its .module computes the same"),
}

#: What a class may have of its own and compute as the one that it is derived from.
_CONSTRUCTION = {
    *("__init__", "__repr__", "extra_repr", "reset_parameters"),
    *("__module__", "__qualname__", "__doc__", "__annotations__", "__parameters__", "__orig_bases__"),
    *("__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__"),
}


def is_layer(module: nn.Module) -> bool:
    """Whether a module is taken as a whole: PyTorch's own, this project's, and what is derived from those with weights.

    A derived class that computes something else is then refused by its name, not by what it calls.
    """
    own = type(module).__module__.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(module, nn.Sequential)
    return own or isinstance(module, (*OWN, *WEIGHTED)) or layer_type(module) is not None


def layer_type(module: nn.Module) -> type[nn.Module] | None:
    """The supported class that a module computes as: its own, or one that it only constructs otherwise; else None."""
    added: dict[str, Any] = {}
    for kind in type(module).__mro__:
        if kind in TYPES:
            return kind if all(_harmless(name, value, kind) for name, value in added.items()) else None
        added |= vars(kind)
    return None


def _harmless(name: str, value: Any, kind: type[nn.Module]) -> bool:
    """Whether what a class adds to a layer leaves alone what the layer computes."""
    plain = isinstance(value, FunctionType | classmethod | staticmethod) or not hasattr(type(value), "__get__")
    return name in _CONSTRUCTION or (plain and not hasattr(kind, name))


def otherwise(module: nn.Module) -> str:
    """What there is for a module that has no lowering: what computes the same, or what would be another network."""
    for kind in type(module).__mro__[1:]:
        if kind in TYPES:
            return f"its class changes what {kind.__name__} computes; only {kind.__name__} itself is followed"
    return _OTHERWISE.get(type(module).__name__, MADE_OF)
