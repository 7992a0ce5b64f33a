"""In-place calls of a traced graph: who reads what once an operand has been overwritten."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from qtt_hw.lower.layers import PASSING, VIEWING, VIEWING_CALLS

__all__ = ["OPERATORS", "InPlaceAttribute", "InPlaceProxy", "follow_writes", "written"]

#: The operators that write into their left operand, by what they are called in a traced graph.
OPERATORS: dict[Callable[..., Any], str] = {
    operator.iadd: "add",
    operator.isub: "sub",
    operator.imul: "mul",
    operator.imatmul: "matmul",
    operator.itruediv: "truediv",
    operator.ifloordiv: "floordiv",
    operator.imod: "mod",
    operator.ipow: "pow",
    operator.iand: "and",
    operator.ior: "or",
    operator.ixor: "xor",
    operator.ilshift: "lshift",
    operator.irshift: "rshift",
    operator.setitem: "setitem",
}


#: Of PyTorch's calls that put out views, by its documentation, those that may be a model's own: attributes, too.
_VIEWS = ("as_strided", "diagonal", "expand", "expand_as", "broadcast_to", "narrow", "select", "unfold", "unflatten")
_OWN_VIEWS = frozenset(
    [getattr, *_VIEWS, *(getattr(torch, name) for name in _VIEWS if hasattr(torch, name)), "contiguous"]
)

#: Methods that put out what they read in other memory, or, as far as is known here, in the same.
COPYING = ("contiguous", "clone", torch.clone)


class InPlaceProxy(fx.Proxy):
    """A traced value whose in-place operators and item assignments are recorded as such.

    torch.fx alone records y += x as y = y + x, so that other names of the old y would go on reading it.
    """

    def _in_place(self, function: Callable[..., Any], *operands: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, *operands), {}, OPERATORS[function])

    def __getattr__(self, k: str) -> fx.proxy.Attribute:
        return InPlaceAttribute(self, k)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._in_place(operator.setitem, index, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("tracer", "node"):
            raise TypeError(f"a tensor's {name} is assigned, which cannot be traced")
        super().__setattr__(name, value)


class InPlaceAttribute(InPlaceProxy, fx.proxy.Attribute):
    """An attribute of a traced value, which may be a tensor of the same memory, as x.data is."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("root", "attr", "_node"):  # its own, when it is made and first read
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


def _operator(function: Callable[..., Any]) -> Callable[[InPlaceProxy, Any], fx.Proxy]:
    def record(self: InPlaceProxy, other: Any) -> fx.Proxy:
        return self._in_place(function, other)

    return record


for _function in OPERATORS:
    if _function is not operator.setitem:
        setattr(InPlaceProxy, f"__{_function.__name__}__", _operator(_function))


def _operand(node: fx.Node) -> fx.Node | None:
    """What a call reads first."""
    first = node.args[0] if node.args else node.kwargs.get("input", node.kwargs.get("self"))
    return first if isinstance(first, fx.Node) else None


def _asked_to(node: fx.Node) -> bool:
    """Whether a function is called with inplace=True, by name or by position."""
    if "inplace" in node.kwargs or node.op != "call_function":
        return bool(node.kwargs.get("inplace"))
    try:
        bound = inspect.signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # a function of C++, whose inplace could only be given by name
        return False
    return bool(bound.arguments.get("inplace"))


def written(node: fx.Node, module: nn.Module | None) -> fx.Node | None:
    """What a call writes into; `module` is the layer that it runs or stands for."""
    out = node.kwargs.get("out")
    if isinstance(out, fx.Node):
        return out
    if isinstance(module, PASSING):  # in evaluation dropout writes nothing, in place or not
        return None
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    writes = node.op != "call_module" and (
        node.target in OPERATORS or (name.endswith("_") and not name.endswith("__")) or _asked_to(node)
    )
    return _operand(node) if writes or getattr(module, "inplace", False) else None


def follow_writes(graph: fx.Graph, module_of: Callable[[fx.Node], nn.Module | None]) -> dict[fx.Node, str]:
    """Rewire a traced graph: who reads an operand after a call has overwritten it in place, reads the call's result.

    The graph itself is changed, and is then for reading only, not for running.

    Parameters
    ----------
    graph : fx.Graph
        Traced with `InPlaceProxy`.
    module_of : callable
        The layer that a call runs or stands for, if there is one.

    Returns
    -------
    dict
        By call that cannot be followed, why: another result may be a view of the same memory, or not, as its layout
        is, and is read again later.
    """
    order = {node: index for index, node in enumerate(graph.nodes)}
    tensor: dict[fx.Node, fx.Node] = {}  # by result, the call that made the tensor that it is
    memory: dict[fx.Node, fx.Node] = {}  # by result, the call that made the memory that it may be a view of
    refused: dict[fx.Node, str] = {}

    def read_later(result: fx.Node, node: fx.Node) -> list[fx.Node]:
        return [user for user in result.users if order[user] > order[node]]

    for node in graph.nodes:
        module = module_of(node)
        target, source = written(node, module), _operand(node)
        passes = isinstance(module, PASSING) and node.target not in COPYING
        same = target or (source if passes else None)
        views = isinstance(module, VIEWING) or node.target in VIEWING_CALLS or node.target in _OWN_VIEWS
        shared = same or (source if views else None)
        tensor[node] = node if same is None else tensor[same]
        memory[node] = node if shared is None else memory[shared]
        if target is None:
            continue
        for other in [other for other in memory if other is not node and memory[other] is memory[node]]:
            later = read_later(other, node)
            if tensor[other] is tensor[node]:
                for user in later:
                    user.replace_input_with(other, node)
            elif later:
                refused[node] = (
                    f"changes in place what {other.name} may be a view of, which is read again later; "
                    "out of place it is followed"
                )
    return refused
