"""A PyTorch model as a graph of calls, by torch.fx, which runs on an example while it is traced.

So sizes are numbers to forward, and what it does with them leaves no calls: `x.view(x.size(0), -1)` is one call, and an
assertion of a shape none.
"""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, fx, nn

from qtt_hw.lower.failures import FAILURES, first_line, layer_of, reason_of
from qtt_hw.lower.hooks import Report, has_forward_hooks, hook_tables, watched, without_global_hooks, without_hooks
from qtt_hw.lower.in_place import InPlaceAttribute, InPlaceProxy
from qtt_hw.lower.layers import is_layer
from qtt_hw.lower.record import VALUES, NotFollowed, own_gradients, record

__all__ = ["Traced", "evaluated", "trace", "undisturbed"]

#: Methods that make their result like another one.
_ALIKE = ("view_as", "reshape_as", "expand_as", "type_as", "to")


class _Tracer(fx.Tracer):
    """Enters every module that is not taken as a whole, records what happens in place, and runs every call.

    Parameters
    ----------
    x : Tensor
        The example, which calls that write in place may change.
    defaults : dict
        Of forward's arguments behind the first, by name.
    """

    def __init__(self, x: Tensor, defaults: dict[str, Any]) -> None:
        super().__init__()
        self.values: dict[fx.Node, Any] = {}
        #: What is made of the values in a tensor, and is no tensor, or is made of that.
        self.told: set[fx.Node] = set()
        self._x, self.defaults, self._running = x, defaults, False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_layer(m)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Running(node, self)

    def create_proxy(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Proxy:
        made: fx.Proxy = super().create_proxy(kind, target, *args, **kwargs)
        if kind == "placeholder":
            self.values[made.node] = self.defaults.get(_argument(made.node)) if self.values else self._x
        else:
            self.values[made.node] = self._run(made.node)
        name = target if isinstance(target, str) else getattr(target, "__name__", "")
        if name in VALUES or any(operand in self.told for operand in made.node.all_input_nodes):
            self.told.add(made.node)
        return made

    def _run(self, node: fx.Node) -> Any:
        """The result of a call on those of its operands."""
        args: Any = fx.node.map_arg(node.args, self._value)
        kwargs: Any = fx.node.map_arg(node.kwargs, self._value)
        self._running = True
        try:
            match node.op:
                case "call_module":
                    return self.root.get_submodule(str(node.target)).forward(*args, **kwargs)
                case "call_method":
                    return getattr(args[0], str(node.target))(*args[1:], **kwargs)
                case "get_attr":
                    return self._own(node)
                case _:
                    return node.target(*args, **kwargs)  # type: ignore[operator]
        finally:
            self._running = False

    def _value(self, node: fx.Node) -> Any:
        """The result of a call, or a buffer of the model's own, whose reading is no call to torch.fx."""
        if node not in self.values and node.op == "get_attr":
            self.values[node] = self._own(node)
        return self.values[node]

    def _own(self, node: fx.Node) -> Any:
        owner, _, name = str(node.target).rpartition(".")
        return getattr(self.root.get_submodule(owner), name)

    # Of a layer that runs, nothing is recorded.

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        return forward(*args, **kwargs) if self._running else super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._running else super().getattr(attr, attr_val, parameter_proxy_cache)


class _Running(InPlaceProxy):
    """A traced value that knows what it is on the example: all but the numbers in a tensor."""

    @property
    def _value(self) -> Any:
        tracer: Any = self.tracer
        return tracer.values[self.node]

    def _known(self, name: str) -> Any:
        value = self._value
        return getattr(value, name) if isinstance(value, Tensor) else InPlaceAttribute(self, name)

    def size(self, *args: Any, **kwargs: Any) -> Any:
        return self._value.size(*args, **kwargs)

    def stride(self, *args: Any, **kwargs: Any) -> Any:
        return self._value.stride(*args, **kwargs)

    def dim(self) -> int:
        return int(self._value.dim())

    ndimension = dim

    def numel(self) -> int:
        return int(self._value.numel())

    nelement = numel

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        traced: Any = self
        return (traced[index] for index in range(len(self)))

    def __bool__(self) -> bool:
        value, tracer = self._value, self.tracer
        unknown = isinstance(value, Tensor) or self.node in tracer.told  # type: ignore[attr-defined]
        return bool(super().__bool__() if unknown else value)


def _known(name: str) -> property:
    def known(self: _Running) -> Any:
        return self._known(name)

    return property(known)


for _name in ("shape", "ndim", "dtype", "device", "is_cuda", "layout", "requires_grad"):
    setattr(_Running, _name, _known(_name))


@dataclass(frozen=True)
class Traced:
    """A model without hooks in evaluation mode, its graph, and what its calls are on the example.

    Attributes
    ----------
    model : nn.Module
    module : fx.GraphModule
    shapes : dict
        Of the output of every call.
    same : dict
        By function that returned one of its operands itself, as stochastic depth does in evaluation, the operand.
    gradients : sequence of str
        The autograd functions that it calls, which have a backward of their own.
    """

    model: nn.Module
    module: fx.GraphModule
    shapes: dict[fx.Node, tuple[int, ...]]
    same: dict[fx.Node, fx.Node]
    gradients: Sequence[str]


@contextmanager
def undisturbed() -> Iterator[None]:
    """A context without gradients, without PyTorch's global hooks, and without warnings of the model's own calls."""
    with torch.no_grad(), without_global_hooks(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def evaluated(model: nn.Module, x: Tensor, report: Report, others: Sequence[Tensor] = ()) -> nn.Module:
    """A copy of the model in evaluation mode and in float32 that has run on x, without its hooks.

    Each hook that changes what is computed is reported, with the module's qualified name and type: if it does so on x,
    or on the other inputs, on which a model with hooks runs too. What a hook does on no input but further ones, a value
    of an activation that none of these reaches, say, is not seen.

    Raises
    ------
    ValueError
        When the model cannot be copied, or does not run on x.
    """
    name = type(model).__name__
    # Neither hooks need be copyable, of which only the tables are copied, nor results that a module remembers.
    memo: dict[int, Any] = {}
    for module in model.modules():
        memo |= {id(table): table.copy() for table in hook_tables(module)}
        memo |= {id(v): v.detach() for v in vars(module).values() if isinstance(v, Tensor) and v.grad_fn is not None}
    try:
        model = copy.deepcopy(model, memo).eval().float()
    except FAILURES as error:  # whatever the model holds
        raise ValueError(f"{name}: cannot be copied: {first_line(error)}") from None
    hooks: list[tuple[str, str, str]] = []  # told once the model has run: who is told may raise
    try:
        with torch.no_grad(), warnings.catch_warnings(), watched(model, lambda *hook: hooks.append(hook)):
            warnings.simplefilter("ignore")
            model(x.clone())
            if has_forward_hooks(model):  # which may do something to a single sample, or to several, alone
                model(x.repeat(2, *(1 for _ in x.shape[1:])) if len(x) == 1 else x[:1].clone())
                for other in others:
                    with suppress(*FAILURES):  # a hook, or a forward, that watches for such values and ends the run
                        model(other.clone())
    except FAILURES as error:  # of the user's forward
        raise ValueError(
            f"{name}: does not run on an example of shape {list(x.shape)}: {layer_of(error, model)}{reason_of(error)}"
        ) from None
    for hook in hooks:
        report(*hook)
    without_hooks(model)
    return model


def trace(model: nn.Module, x: Tensor) -> Traced:
    """The calls of a copy that `evaluated` made, by torch.fx or recorded; to be called `undisturbed`.

    Raises
    ------
    ValueError
        When forward cannot be traced.
    """
    try:
        with own_gradients() as gradients:
            graph, values = _followed(model, x)
        same = _returned(graph, values)
        _without_likenesses(graph)
        _without_classes(graph)
        module = fx.GraphModule(model, graph)
    except FAILURES as error:  # of the user's forward
        reason = f"{reason_of(error)}{_hint(error)}"
        raise ValueError(f"{type(model).__name__}: forward cannot be traced: {reason}") from None
    shapes = {node: tuple(value.shape) for node, value in values.items() if isinstance(value, Tensor)}
    return Traced(model, module, shapes, same, gradients)


def _followed(model: nn.Module, x: Tensor) -> tuple[fx.Graph, dict[fx.Node, Any]]:
    """The calls of forward by torch.fx; where that does not follow it, as they are recorded on the example."""
    tracer = _Tracer(x.clone(), _defaults(model))
    try:
        return _graph(model, tracer), tracer.values
    except Exception as error:  # not one that ends the program
        try:
            return record(model, x.clone())
        except NotFollowed as found:
            raise found from None
        except FAILURES:
            raise error from None


def _without_likenesses(graph: fx.Graph) -> None:
    """Take out of calls the results that they read nothing of but a shape, a dtype or a device."""
    for node in graph.nodes:
        if node.op == "call_method" and node.target in _ALIKE and node.args:
            given = [node.kwargs.get("other"), *node.args[1:2]]
            if any(isinstance(other, fx.Node) and other.op != "get_attr" for other in given):
                node.args, node.kwargs = node.args[:1], {}


def _without_classes(graph: fx.Graph) -> None:
    """Have x.type(torch.FloatTensor) name its type, as that class does not name itself in code."""
    for node in graph.nodes:
        if node.op == "call_method" and node.target == "type":
            named = type(torch.FloatTensor)
            node.args = tuple(f"torch.{a.__name__}" if isinstance(a, named) else a for a in node.args)


def _returned(graph: fx.Graph, values: dict[fx.Node, Any]) -> dict[fx.Node, fx.Node]:
    """By function of others' that returned one of its operands itself, the operand."""
    found = {}
    for node in graph.nodes:
        if node.op == "call_function" and isinstance(node.target, FunctionType):
            for operand in node.all_input_nodes:
                if values.get(node) is values.get(operand) and operand.op != "get_attr":
                    found[node] = operand
    return found


def _defaults(model: nn.Module) -> dict[str, Any]:
    """Of forward's arguments behind the first, those with a plain default."""
    arguments = list(inspect.signature(model.forward).parameters.values())[1:]
    plain = (bool, int, float, str, type(None))
    return {a.name: a.default for a in arguments if isinstance(a.default, plain)}


def _argument(node: fx.Node) -> str:
    """The argument of forward that a placeholder stands for."""
    return re.sub(r"_\d+$", "", str(node.target))


def _graph(model: nn.Module, tracer: _Tracer) -> fx.Graph:
    """The calls of forward, whose arguments behind the first have their defaults, where they have plain ones."""
    defaults = tracer.defaults
    graph: fx.Graph = tracer.trace(model, defaults or None)
    for node in [node for node in graph.nodes if node.op == "placeholder"][1:]:
        if _argument(node) in defaults:
            _erase(graph, node)
    return graph


def _erase(graph: fx.Graph, node: fx.Node) -> None:
    """Take out a node and what is asserted of it."""
    for user in list(node.users):
        _erase(graph, user)
    graph.erase_node(node)


def _hint(error: BaseException) -> str:
    """What an error of torch.fx means, where it is one."""
    text = str(error)
    if "not installed as a submodule" in text:
        return "; layers in a Python list are not the model's: keep them in an nn.ModuleList or nn.ModuleDict"
    if isinstance(error, fx.proxy.TraceError) or "Proxy" in text or "symbolic" in text:
        return "; while tracing, Python knows a tensor's shape, but not its values"
    return ""
