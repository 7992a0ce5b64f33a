"""Which layers are supported, what a module computes as, and what there is for the others."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from torch import nn

from qtt_hw.lower.kinds import KINDS
from qtt_hw.lower.lowering import Caller, Handler, Joiner, Lowering
from qtt_hw.lower.refusals import of_layer
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.planar import FORMS, volumetric

__all__ = [
    "CALLS",
    "CALLS_TAKE",
    "FUNCTIONS",
    "JOINS",
    "JOINS_TAKE",
    "PASSING",
    "TYPES",
    "VIEWING",
    "VIEWING_CALLS",
    "is_layer",
    "layer_type",
    "lower_layer",
    "otherwise",
]

_VOLUMETRIC: dict[type[nn.Module], Handler] = {
    layer: handler for kind in KINDS for layer, handler in kind.layers.items()
}
#: By supported layer, its lowering.
_HANDLERS = _VOLUMETRIC | {planar: _VOLUMETRIC[form] for planar, (form, _) in FORMS.items()}
#: All layers that have a lowering.
TYPES = frozenset(_HANDLERS)
_WEIGHTED_3D = {layer for kind in KINDS if kind.weighted for layer in kind.layers}
#: Layers with weights, which become a stage's own.
WEIGHTED = (*_WEIGHTED_3D, *(planar for planar, (form, _) in FORMS.items() if form in _WEIGHTED_3D))
#: Layers that put out what they read, itself, in evaluation.
PASSING = tuple(layer for kind in KINDS if kind.passing for layer in kind.layers)
#: Layers and calls that may put out a view of what they read.
VIEWING = tuple(layer for kind in KINDS if kind.viewing for layer in kind.layers)
VIEWING_CALLS = frozenset(call for kind in KINDS if kind.viewing for call in kind.calls)
#: This project's layers.
_OWN = tuple(layer for layer in TYPES if layer.__module__.startswith("qtt_hw."))
#: By function or method, as torch.fx names it, the layer that a call of its arguments stands for.
FUNCTIONS: dict[Any, Callable[..., nn.Module]] = {call: made for kind in KINDS for call, made in kind.functions.items()}
#: By function or method that stands for no layer, its lowering.
CALLS: dict[Any, Caller] = {call: caller for kind in KINDS for call, caller in kind.calls.items()}
#: By function of several results, its lowering.
JOINS: dict[Any, Joiner] = {call: joiner for kind in KINDS for call, joiner in kind.joins.items()}
#: By layer, and by call, what may be pending of what it reads.
_LAYERS_TAKE = {layer: kind.takes for kind in KINDS for layer in kind.layers}
_LAYERS_TAKE |= {planar: _LAYERS_TAKE[form] for planar, (form, _) in FORMS.items()}
CALLS_TAKE = {call: kind.takes for kind in KINDS for call in kind.calls}
JOINS_TAKE = {call: kind.takes for kind in KINDS for call in kind.joins}

#: What a class may have of its own and compute as the one that it is derived from.
_CONSTRUCTION = {
    *("__init__", "__repr__", "extra_repr", "reset_parameters"),
    *("__module__", "__qualname__", "__doc__", "__annotations__", "__parameters__", "__orig_bases__"),
    *("__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__"),
}


def is_layer(module: nn.Module) -> bool:
    """Whether a module is taken as a whole: PyTorch's own, this project's, and what computes as one of these.

    What is derived from one of PyTorch's and has a forward of its own is entered, and its calls are followed.
    """
    own = type(module).__module__.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(module, nn.Sequential)
    return own or isinstance(module, _OWN) or layer_type(module) is not None


def lower_layer(lowering: Lowering, name: str, module: nn.Module, x: Value) -> Value:
    """The result of one module; raises Unsupported."""
    kind = layer_type(module)
    if kind is None:
        raise Unsupported(f"is not supported; {otherwise(module)}")
    if issubclass(kind, WEIGHTED):
        lowering.use_weights(name, module)
    x = lowering.settled(x, _LAYERS_TAKE[kind])
    try:
        return _HANDLERS[kind](lowering, name, volumetric(module, kind), x)
    except Unsupported:
        raise
    except ValueError as error:
        if x.blind:  # its shape is not known
            return x
        raise Unsupported(f"does not fit its input: {error}; change the layer or the input size") from None


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
    return of_layer(type(module).__name__)
