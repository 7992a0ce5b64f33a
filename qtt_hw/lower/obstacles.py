"""What a trace of a model's forward would not show: modules that compute otherwise, or nothing yet, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.optim.swa_utils import AveragedModel

from qtt_hw.lower.layers import is_layer
from qtt_hw.nn.dense import parametrised
from qtt_hw.nn.finite import unusable_tensors

__all__ = ["Shared", "obstacles", "other_dtypes", "shared_tensors"]


def obstacles(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    """(qualified name, type, why) of the outermost modules that tracing would take for something else."""
    circle = _circle(model)
    if circle is not None:
        yield circle
        return
    found: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{outer}." if outer else "") for outer in found):
            continue
        odd = _odd_name(name)
        reason = odd or _obstacle(module, root=module is model)
        if reason is not None:
            found.append(name)
            yield ascii(name)[1:-1] if odd else name, type(module).__name__, reason


def _circle(model: nn.Module) -> tuple[str, str, str] | None:
    """(qualified name, type, why) of a module that holds one that it is part of, if there is one."""
    modules = dict(model.named_modules())
    for name, module in modules.items():
        outer = {"": model} | {name[:i]: modules[name[:i]] for i, c in enumerate(f"{name}.") if c == "." and i}
        for child, held in module.named_children():
            around = next((n for n, each in outer.items() if each is held), None)
            if around is not None:
                whole = f"{around} ({type(held).__name__})" if around else "the whole model"
                reason = f"holds {whole} as its {child}, which it is part of; keep that elsewhere than in a module"
                return name, type(module).__name__, reason
    return None


def _odd_name(name: str) -> str | None:
    """What is wrong with a module's qualified name, if anything: it becomes part of code and of files."""
    odd = next((c for c in name if not c.isprintable() or c in "\"'\\"), None)
    if odd is None:
        return None
    return f"has {odd!r} in its name; names may have any printable characters but quotes and backslashes"


def _obstacle(module: nn.Module, root: bool) -> str | None:
    if isinstance(module, AveragedModel):
        return "is not followed; its .module computes the same"
    if isinstance(module, torch.jit.ScriptModule):
        return "is TorchScript, which cannot be traced; give the Python module that it was made of"
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():  # type: ignore[misc]
        return "has no weights before its first input; run the model on one"
    computed = parametrised(module)
    if computed is not None:
        return f"has a parametrised {computed[0]}, which would be trained without it; bake it in by {computed[1]}"
    for hook in module._forward_pre_hooks.values():
        remove = _removal(hook)
        if remove is not None:
            return f"has a weight that a hook computes, which would be trained without it; bake it in by {remove}"
    for parameter in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if parameter.is_meta:
            return "is on the meta device, without values; load them first"
    for parameter in module.parameters(recurse=False):
        if not parameter.is_floating_point() or parameter.itemsize == 1:
            return f"has parameters of {parameter.dtype}, which are not followed; those of float32 are"
    for name, wrong in unusable_tensors(module, recurse=is_layer(module)):
        return f"has a {name} that {wrong}; give it one from before training diverged"
    for name, parameter in module.named_parameters(recurse=False):
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            return (
                f"has a hook on the gradient of its {name}, which would be trained without it; remove it, and register "
                "one on the prepared model's own parameter"
            )
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


def other_dtypes(model: nn.Module) -> str | None:
    """What is said of a model that has parameters of other floating dtypes than float32, None of others."""
    found = sorted({str(p.dtype) for p in model.parameters() if p.is_floating_point() and p.dtype != torch.float32})
    return f"has parameters of {' and '.join(found)}, which are taken as torch.float32" if found else None


@dataclass(frozen=True)
class Shared:
    """A tensor of a module, and that of another module (or of the same) which lies in the same memory."""

    own: str
    module: str
    tensor: str


def shared_tensors(model: nn.Module) -> dict[str, list[Shared]]:
    """By layer, its parameters and buffers, those of modules within included, whose memory another's lies in too.

    Either of the two is told of the other: which is called first, only the calls show. A module under two names is no
    other module, and has the first one.
    """
    spans: list[tuple[int, int, str, str]] = []
    layer = ""
    for name, module in model.named_modules():
        if not (layer and name.startswith(f"{layer}.")):
            layer = name if is_layer(module) else ""
        for own, tensor in (
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        ):
            if tensor.numel():
                holder = layer or name
                full = f"{name}.{own}" if name else own
                spans.append((*_span(tensor), holder, full.removeprefix(f"{holder}.")))
    by_layer: dict[str, list[Shared]] = {}
    open_: list[tuple[int, int, str, str]] = []
    for span in sorted(spans):
        open_ = [other for other in open_ if other[1] > span[0]]
        for other in open_:
            (_, _, one, its), (_, _, another, own) = other, span
            by_layer.setdefault(another, []).append(Shared(own, one, its))
            if one != another:
                by_layer.setdefault(one, []).append(Shared(its, another, own))
        open_.append(span)
    return by_layer


def _span(tensor: Tensor) -> tuple[int, int]:
    """The addresses from the tensor's first to behind its last value."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()
