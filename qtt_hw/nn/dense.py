"""Which dense layers a decomposed layer can be made from: those that compute what their weight says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = ["paired_modes", "parametrised", "require_dense"]

#: What stands for each kind of dense layer.
_DECOMPOSED = {nn.Linear: "TTLinear", nn.Conv2d: "TTConv2d", nn.Conv3d: "TTConv3d"}


def require_dense(layer: object, made: str, *kinds: type[nn.Module]) -> None:
    """Raise ValueError unless a layer computes one of the kinds with its weight and, as a convolution, a plain one.

    Not with a forward of its own, forward hooks, or a weight that is computed from others.

    Parameters
    ----------
    layer : object
        What was given.
    made : str
        The class that is to be made from it, for the message.
    kinds : module classes
        Of `nn.Linear`, `nn.Conv2d` and `nn.Conv3d`.
    """
    wanted = " or a ".join(kind.__name__ for kind in kinds)
    if not isinstance(layer, kinds):
        other = next((name for kind, name in _DECOMPOSED.items() if isinstance(layer, kind)), None)
        hint = f"; a {other} is made from that" if other else ""
        raise ValueError(f"a {made} is made from a {wanted}, got a {type(layer).__name__}{hint}")
    kind = next(kind for kind in kinds if isinstance(layer, kind))
    assert isinstance(layer, nn.Module)
    reason = _otherwise(layer, kind)
    if reason is not None:
        raise ValueError(f"a {made} is made from a plain {kind.__name__}, this {type(layer).__name__} {reason}")
    if isinstance(layer, nn.Linear):
        return
    assert isinstance(layer, nn.Conv2d | nn.Conv3d)
    if layer.groups != 1 or layer.padding_mode != "zeros":
        raise ValueError(f"only a {wanted} with groups=1 and padding_mode='zeros' becomes a {made}")


def paired_modes(weight: Tensor, in_modes: Sequence[int], out_modes: Sequence[int]) -> NDArray[Any]:
    """A weight [out, in, ...] as the tensor of which a tensor train is made: float64 [taps, c1 * s1, c2 * s2, ...].

    Each mode of the inputs, c, is paired with one of the outputs, s; the taps are all axes behind the channels.
    """
    d = len(in_modes)
    spread = weight.detach().to("cpu", torch.float64).numpy().reshape(*out_modes, *in_modes, -1)
    pairs = spread.transpose([2 * d, *(axis for i in range(d) for axis in (d + i, i))])
    return pairs.reshape(-1, *(c * s for c, s in zip(in_modes, out_modes, strict=True)))


def parametrised(layer: nn.Module) -> tuple[str, str] | None:
    """The first tensor of a module that a parametrisation computes, and the call that bakes it in; None without one."""
    if not parametrize.is_parametrized(layer):
        return None
    tensor = next(iter(layer.parametrizations))  # type: ignore[arg-type]
    call = f'torch.nn.utils.parametrize.remove_parametrizations(layer, "{tensor}", leave_parametrized=True)'
    return tensor, call


def _otherwise(layer: nn.Module, kind: type[nn.Module]) -> str | None:
    """Why a layer does not compute what its kind does with its weight and bias, if it does not."""
    found = parametrised(layer)
    if found is not None:
        return f"has a parametrised {found[0]}; bake it in by {found[1]}"
    for tensor in ("weight", "bias"):
        if getattr(layer, tensor) is not None and not isinstance(getattr(layer, tensor), nn.Parameter):
            return f"has a {tensor} computed from other tensors; bake it in, as by torch.nn.utils.remove_weight_norm"
    if layer._forward_pre_hooks or layer._forward_hooks:
        return "has forward hooks, which would be lost; remove them"
    for method in ("forward", "_conv_forward", "__call__"):
        if method in vars(layer) or getattr(type(layer), method, None) is not getattr(kind, method, None):
            return f"has a {method} of its own"
    return None
