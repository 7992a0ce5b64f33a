"""Forward hooks: which of a model's change what is computed, which only observe it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules
from torch.utils._pytree import tree_leaves

__all__ = ["has_forward_hooks", "hook_tables", "watched", "without_global_hooks", "without_hooks"]

#: Called with a module's qualified name, its type, and what one of its hooks does.
Report = Callable[[str, str, str], None]

_FORWARD = {"_forward_pre_hooks": "forward pre-hook", "_forward_hooks": "forward hook"}
_GLOBAL = {"_global_forward_pre_hooks": "forward pre-hook", "_global_forward_hooks": "forward hook"}


def hook_tables(module: nn.Module) -> list[dict[int, Any]]:
    """The dictionaries of a module that hold its hooks, or options of hooks."""
    return [value for name, value in vars(module).items() if "_hooks" in name and isinstance(value, dict)]


def has_forward_hooks(model: nn.Module) -> bool:
    """Whether any forward hook is called when the model runs, PyTorch's global hooks included."""
    owners = [(torch_modules, _GLOBAL), *((module, _FORWARD) for module in model.modules())]
    return any(getattr(owner, table) for owner, tables in owners for table in tables)


def without_hooks(model: nn.Module) -> None:
    """Empty all tables of hooks of a model and its modules."""
    for module in model.modules():
        for table in hook_tables(module):
            table.clear()


def _global_tables() -> list[dict[int, Any]]:
    """PyTorch's tables of hooks that are called for every module, forward and backward."""
    return [v for n, v in vars(torch_modules).items() if n.startswith("_global_") and isinstance(v, OrderedDict)]


@contextmanager
def without_global_hooks() -> Iterator[None]:
    """A context in which PyTorch's global hooks, called for every module, are switched off."""
    tables = [(table, table.copy()) for table in _global_tables()]
    try:
        for table, _ in tables:
            table.clear()
        yield
    finally:
        for table, kept in tables:
            table.update(kept)


@contextmanager
def watched(model: nn.Module, report: Report) -> Iterator[None]:
    """Report each forward hook that changes something while the model runs, those for every module included.

    Hooks only observe as long as they hand back nothing, or what they were given, and leave it, the model's modules and
    all their parameters and buffers as they were. Only what they do on the inputs of these runs is seen, and not what
    they write elsewhere, such as plain attributes that a forward reads.
    """
    restored = []
    places = [
        (name, type(module).__name__, getattr(module, table), kind)
        for name, module in model.named_modules()
        for table, kind in _FORWARD.items()
    ]
    places += [("", "model", getattr(torch_modules, table), f"global {kind}") for table, kind in _GLOBAL.items()]
    for name, kind, table, what in places:
        restored.append((table, table.copy()))
        for key, hook in table.items():
            table[key] = _watch(hook, model, name, kind, what, report)
    try:
        yield
    finally:
        for table, hooks in restored:
            table.update(hooks)


def _watch(
    hook: Callable[..., Any], model: nn.Module, name: str, kind: str, what: str, report: Report
) -> Callable[..., Any]:
    reported = False

    def run(module: nn.Module, *given: Any) -> Any:
        nonlocal reported
        if reported:
            return hook(module, *given)
        before = _State(model, given)
        result = hook(module, *given)
        replaced = given if what.endswith("pre-hook") else given[-1]
        handed_back = result is None or _same(tree_leaves(result), tree_leaves(replaced))
        if not (handed_back and before.holds(model, given)):
            reported = True
            called = getattr(hook, "__qualname__", type(hook).__name__)
            report(
                name,
                kind,
                f"has a {what}, {called}, that changes what is computed; "
                "write that as a layer or in forward, and remove the hook",
            )
        return result

    return run


def _same(these: list[Any], those: list[Any]) -> bool:
    return len(these) == len(those) and all(a is b for a, b in zip(these, those, strict=True))


class _State:
    """A model's modules, parameters and buffers, and the tensors given: which they are, and their values.

    Parameters
    ----------
    model : nn.Module
    given : tuple
        What a hook is given.
    """

    def __init__(self, model: nn.Module, given: tuple[Any, ...]) -> None:
        self.modules = _modules(model)
        with torch.no_grad():
            self.tensors = [(t, t._version, t.detach().clone()) for t in _tensors(model, given)]

    def holds(self, model: nn.Module, given: tuple[Any, ...]) -> bool:
        """Whether all of it is as it was."""
        tensors = _tensors(model, given)
        if self.modules != _modules(model) or len(self.tensors) != len(tensors):
            return False
        return all(
            tensor is now and version == now._version and torch.equal(values.nan_to_num(), now.detach().nan_to_num())
            for (tensor, version, values), now in zip(self.tensors, tensors, strict=True)
        )


def _modules(model: nn.Module) -> list[tuple[str, int, bool]]:
    """Of every module its name, which it is, and whether it trains."""
    return [(name, id(module), module.training) for name, module in model.named_modules()]


def _tensors(model: nn.Module, given: tuple[Any, ...]) -> list[Tensor]:
    leaves = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
    return [*leaves, *model.parameters(), *model.buffers()]
