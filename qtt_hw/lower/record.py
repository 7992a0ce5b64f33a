"""A model's calls, recorded while it runs: for what torch.fx cannot follow, since forward looks at its tensors.

torch.fx hands stand-ins of tensors to forward. What asks for a tensor itself, as isinstance(x, Tensor), a scripted
function or one of C++, does not work on these. Here forward runs on real ones, and each call of PyTorch's is recorded
with the same targets as torch.fx would record.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from qtt_hw.lower.failures import users_line
from qtt_hw.lower.layers import is_layer

__all__ = ["VALUES", "VARIES", "NotFollowed", "own_gradients", "record"]

#: Functions and methods whose result is not a tensor, but what stands in one.
VALUES = frozenset(
    (
        *("item", "tolist", "numpy", "equal", "allclose", "is_nonzero"),
        *("__bool__", "__float__", "__int__", "__index__", "__complex__", "__array__", "__contains__"),
    )
)
#: What is said of a forward that draws at random, or alike.
VARIES = (
    "computes something else each time it runs on the same input, which no integers can; in evaluation let forward "
    "neither draw at random nor keep a count"
)
#: Operators by the methods that they call; those of the right operand have it first.
_OPERATORS = {"__getitem__": operator.getitem, "__setitem__": operator.setitem}
_REFLECTED = {
    "__rsub__": operator.sub,
    **dict.fromkeys(("__rdiv__", "__rtruediv__"), operator.truediv),
    "__rpow__": operator.pow,
}


class NotFollowed(ValueError):
    """What forward computes depends on the values that a result has, or is not all that it does."""


class _Recorder(TorchFunctionMode):
    """Records every call of PyTorch's that reads the input, what comes of it, or a tensor of the model's own."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.model, self.graph = model, fx.Graph()
        self.values: dict[fx.Node, Any] = {}
        self._nodes: dict[int, tuple[fx.Node, Tensor]] = {}  # held, so that no other tensor has its id
        self._moving: set[fx.Node] = set()
        self._own = {id(t): name for name, t in (*model.named_parameters(), *model.named_buffers())}
        self._modules = {id(module): name for name, module in model.named_modules()}
        self._inside: list[str] = []
        #: By constant, the user's line that takes it.
        self.constants: dict[str, str | None] = {}
        self._running = False
        placeholder = self.graph.placeholder("x")
        self._moving.add(placeholder)
        self._keep(placeholder, x)

    # What a tensor is in the graph

    def _keep(self, node: fx.Node, value: Any) -> None:
        self.values[node] = value
        if isinstance(value, Tensor):
            self._nodes[id(value)] = node, value
        elif isinstance(value, tuple | list):
            for index, part in enumerate(value):
                if isinstance(part, Tensor):
                    item = self._create("call_function", operator.getitem, (node, index), {})
                    self._keep(item, part)

    def _create(self, op: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> fx.Node:
        node = self.graph.create_node(op, target, args, kwargs)
        node.meta["nn_module_stack"] = {name: name for name in self._inside}
        if any(operand in self._moving for operand in node.all_input_nodes):
            self._moving.add(node)
        return node

    def _known(self, value: Any) -> bool:
        return isinstance(value, Tensor) and (id(value) in self._nodes or id(value) in self._own)

    def _argument(self, value: Any) -> Any:
        """A tensor's node; for one that is neither a result nor the model's own, that of a constant."""
        if not isinstance(value, Tensor):
            return value
        if id(value) in self._nodes:
            return self._nodes[id(value)][0]
        name = self._own.get(id(value))
        if name is None:
            if isinstance(value, nn.Parameter):
                raise NotFollowed(
                    "takes a parameter that is not the model's; layers in a Python list are not: keep them in an "
                    "nn.ModuleList or nn.ModuleDict"
                )
            name = next(f"_constant{k}" for k in range(10**6) if not hasattr(self.model, f"_constant{k}"))
            self.model.register_buffer(name, value, persistent=False)
            self.constants[name] = users_line(_recorded.__code__)
            self._own[id(value)] = name
        node = self.graph.get_attr(name)
        self.values[node] = value
        return node

    # Calls

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._running or not any(self._known(leaf) for leaf in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        given, named = tree_map(self._argument, args), tree_map(self._argument, kwargs)
        name = getattr(func, "__name__", "")
        moving = [leaf for leaf in tree_leaves((given, named)) if isinstance(leaf, fx.Node) and leaf in self._moving]
        if name in VALUES and moving:
            raise NotFollowed("reads a result's values: only on its shape may it depend what a network computes")
        if name == "__set__":
            raise NotFollowed(f"a tensor's {func.__self__.__name__} is assigned")  # type: ignore[attr-defined]
        self._running = True
        try:
            made = func(*args, **kwargs)
        finally:
            self._running = False
        if name == "__setitem__" or any(isinstance(leaf, Tensor) for leaf in tree_leaves(made)):
            op, target, given = _spelled(func, name, given)
            self._keep(self._create(op, target, given, named), args[0] if name == "__setitem__" else made)
        return made

    def call(self, module: nn.Module, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The result of a module, which is recorded as a whole where it is a layer of the model's."""
        name = self._modules.get(id(module))
        if self._running or name is None:
            return original(module, *args, **kwargs)
        if module is self.model or not is_layer(module):
            self._inside.append(name)
            try:
                return original(module, *args, **kwargs)
            finally:
                self._inside.pop()
        given, named = tree_map(self._argument, args), tree_map(self._argument, kwargs)
        self._running = True
        try:
            made = original(module, *args, **kwargs)
        finally:
            self._running = False
        self._keep(self._create("call_module", name, given, named), made)
        return made

    def end(self, returned: Any) -> None:
        self.graph.output(tree_map(self._argument, returned))


def _spelled(func: Callable[..., Any], name: str, args: tuple[Any, ...]) -> tuple[str, Any, tuple[Any, ...]]:
    """(op, target, args) of a call as torch.fx has it."""
    if name == "__get__":  # of an attribute that is a tensor, as x.mT
        return "call_function", getattr, (args[0], func.__self__.__name__)  # type: ignore[attr-defined]
    if name in _OPERATORS:
        return "call_function", _OPERATORS[name], args
    if name in _REFLECTED:
        return "call_function", _REFLECTED[name], args[::-1]
    return ("call_method", name, args) if getattr(Tensor, name, None) == func else ("call_function", func, args)


@contextmanager
def _modules_through(recorder: _Recorder) -> Iterator[None]:
    """Every call of a module goes through the recorder."""
    original = nn.Module.__call__

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return recorder.call(module, original, args, kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


@contextmanager
def own_gradients() -> Iterator[list[str]]:
    """The names of the classes of autograd functions other than PyTorch's that are applied meanwhile."""
    apply: Any = vars(Function)["apply"]
    found: list[str] = []

    def applied(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
        if not cls.__module__.startswith("torch.") and cls.__name__ not in found:
            found.append(cls.__name__)
        return apply.__get__(None, cls)(*args, **kwargs)

    Function.apply = classmethod(applied)  # type: ignore[assignment, method-assign]
    try:
        yield found
    finally:
        Function.apply = apply  # type: ignore[method-assign]


def record(model: nn.Module, x: Tensor) -> tuple[fx.Graph, dict[fx.Node, Any]]:
    """The calls of a model's forward on an example, and what each puts out.

    Constants that forward makes become buffers of the model. Whatever forward raises is passed on. It runs on another
    input too, on which it has to make the same calls with the same constants: what is computed where PyTorch does not
    show it would look like one.

    Raises
    ------
    NotFollowed
        At the first call that reads a result's values, and where anything depends on them otherwise.
    """
    recorder = _recorded(model, x)
    other = _recorded(model, torch.rand(x.shape, generator=torch.Generator().manual_seed(1)).to(x))
    if not _alike(recorder, other):
        if not _alike(recorder, _recorded(model, x)):
            raise NotFollowed(VARIES)
        line = _hidden(recorder, other)
        calls = "calls" if line is None else f"{line}: takes a result of"
        raise NotFollowed(f"{calls} what does not show what it computes, or computes otherwise on other inputs")
    for name in other.constants:
        delattr(model, name)
    return recorder.graph, recorder.values


def _recorded(model: nn.Module, x: Tensor) -> _Recorder:
    recorder = _Recorder(model, x)
    with _modules_through(recorder), recorder:
        returned = model(x)
    recorder.end(returned)
    return recorder


def _alike(one: _Recorder, other: _Recorder) -> bool:
    """Whether two runs made the same calls with the same constants."""
    pairs = _constants(one, other)
    same = len(one.constants) == len(other.constants) and all(torch.equal(a, b) for _, a, b in pairs)
    return same and _calls(one.graph) == _calls(other.graph)


def _hidden(one: _Recorder, other: _Recorder) -> str | None:
    """The user's line that takes the first constant in which two runs differ."""
    return next((line for line, a, b in _constants(one, other) if not torch.equal(a, b)), None)


def _constants(one: _Recorder, other: _Recorder) -> list[tuple[str | None, Tensor, Tensor]]:
    """The constants of two runs side by side, with the line that takes them."""
    pairs = zip(one.constants.items(), other.constants, strict=False)
    return [(line, getattr(one.model, name), getattr(other.model, its)) for (name, line), its in pairs]


def _calls(graph: fx.Graph) -> list[tuple[str, object]]:
    return [(node.op, node.target) for node in graph.nodes if node.op != "get_attr"]
