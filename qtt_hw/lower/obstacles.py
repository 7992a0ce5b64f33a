"""What a trace of a model's forward would not show: modules that compute otherwise, or nothing yet, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from qtt_hw.lower.layers import is_layer

__all__ = ["Shared", "obstacles", "shared_tensors"]


def obstacles(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    """(qualified name, type, why) of the outermost modules that tracing would take for something else."""
    found: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{outer}." if outer else "") for outer in found):
            continue
        reason = _obstacle(module, root=module is model)
        if reason is not None:
            found.append(name)
            yield name, type(module).__name__, reason


def _obstacle(module: nn.Module, root: bool) -> str | None:
    if isinstance(module, torch.jit.ScriptModule):
        return "is TorchScript, which cannot be traced; give the Python module that it was made of"
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():  # type: ignore[misc]
        return "has no weights before its first input; run the model on one"
    if parametrize.is_parametrized(module):
        tensor = next(iter(module.parametrizations))  # type: ignore[arg-type]
        return (
            f"has a parametrised {tensor}, which would be trained without it; bake it in by "
            f'torch.nn.utils.parametrize.remove_parametrizations(layer, "{tensor}", leave_parametrized=True)'
        )
    for hook in module._forward_pre_hooks.values():
        remove = _removal(hook)
        if remove is not None:
            return f"has a weight that a hook computes, which would be trained without it; bake it in by {remove}"
    for parameter in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if parameter.is_meta:
            return "is on the meta device, without values; load them first"
    for parameter in module.parameters(recurse=False):
        if parameter.dtype != torch.float32:
            return f"has parameters of {parameter.dtype}; convert the model by .float()"
    return _replaced(module, root)


def _removal(hook: object) -> str | None:
    """The call that ends an old reparametrisation and leaves the weight that it computed."""
    match hook:
        case WeightNorm():
            return f'torch.nn.utils.remove_weight_norm(layer, "{hook.name}")'
        case SpectralNorm():
            return f'torch.nn.utils.remove_spectral_norm(layer, "{hook.name}")'
        case BasePruningMethod():
            return f'torch.nn.utils.prune.remove(layer, "{hook._tensor_name}")'
    return None


def _replaced(module: nn.Module, root: bool) -> str | None:
    """What of a module that is not entered through its class has been replaced."""
    if isinstance(module, fx.GraphModule):
        return None
    if hasattr(module, "_orig_mod"):
        return "is compiled; give the module that it was made of, its ._orig_mod"
    if root and type(module).__call__ is not nn.Module.__call__:
        return "has a __call__ of its own, which is not followed; write it as forward"
    for name in vars(module):
        if (is_layer(module) or (root and name == "forward")) and callable(getattr(type(module), name, None)):
            return f"has its {name} replaced on the object, which is not followed; write it in a class of its own"
    return None


@dataclass(frozen=True)
class Shared:
    """A tensor of a module, and that of another module (or of the same) which lies in the same memory."""

    own: str
    module: str
    tensor: str


def shared_tensors(model: nn.Module) -> dict[str, list[Shared]]:
    """By module name, its parameters and buffers that share memory with those of a module before it.

    A module that is reached by two names counts once, under the first.
    """
    spans = [
        (*_span(tensor), order, name, own)
        for order, (name, module) in enumerate(model.named_modules())
        for own, tensor in (
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        )
        if tensor.numel()
    ]
    by_module: dict[str, list[Shared]] = {}
    open_: list[tuple[int, int, int, str, str]] = []
    for span in sorted(spans):
        open_ = [other for other in open_ if other[1] > span[0]]
        for other in open_:
            first, second = sorted((other, span), key=lambda s: s[2])
            by_module.setdefault(second[3], []).append(Shared(second[4], first[3], first[4]))
        open_.append(span)
    return by_module


def _span(tensor: Tensor) -> tuple[int, int]:
    """The addresses from the tensor's first to behind its last value."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()
