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

    Hooks only observe as long as they hand back nothing, or what they were given, and leave it and the module's
    parameters as they were.
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
            table[key] = _watch(hook, name, kind, what, report)
    try:
        yield
    finally:
        for table, hooks in restored:
            table.update(hooks)


def _watch(hook: Callable[..., Any], name: str, kind: str, what: str, report: Report) -> Callable[..., Any]:
    reported = False

    def run(module: nn.Module, *given: Any) -> Any:
        nonlocal reported
        before = _state(module, given)
        result = hook(module, *given)
        replaced = given if what.endswith("pre-hook") else given[-1]
        handed_back = result is None or _same(tree_leaves(result), tree_leaves(replaced))
        if not reported and not (handed_back and _unchanged(before, _state(module, given))):
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


def _state(module: nn.Module, given: tuple[Any, ...]) -> list[tuple[Tensor, int, Tensor]]:
    """Every tensor that is read, with how often it was written in place and its values."""
    tensors = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
    with torch.no_grad():
        return [(t, t._version, t.detach().clone()) for t in (*tensors, *module.parameters(recurse=False))]


def _unchanged(before: list[tuple[Tensor, int, Tensor]], after: list[tuple[Tensor, int, Tensor]]) -> bool:
    return len(before) == len(after) and all(
        a is b and version == now and torch.equal(old.nan_to_num(), new.nan_to_num())
        for (a, version, old), (b, now, new) in zip(before, after, strict=True)
    )
