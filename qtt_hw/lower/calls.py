"""A traced network's calls, lowered one by one or refused, and the conditions on the whole of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from qtt_hw.lower.in_place import OPERATORS, follow_writes, written
from qtt_hw.lower.kinds.multiplication import EXPANDING
from qtt_hw.lower.kinds.padding import Padding
from qtt_hw.lower.kinds.rearrange import flatten_stream
from qtt_hw.lower.layers import (
    CALLS,
    CALLS_TAKE,
    FUNCTIONS,
    JOINS,
    JOINS_TAKE,
    PASSING,
    VIEWING,
    VIEWING_CALLS,
    layer_type,
    lower_layer,
)
from qtt_hw.lower.lowering import Call, Lowering, Operand
from qtt_hw.lower.obstacles import Shared
from qtt_hw.lower.own import own_tensors
from qtt_hw.lower.refusals import LAST_CALL, ONE_LOGIT, REPEATED, WITHIN, of_function
from qtt_hw.lower.trace import Traced
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.window import Window

__all__ = ["Calls", "Visit"]

#: Called with a layer's qualified name, its type, and why it cannot be lowered (None when it can).
Visit = Callable[[str, str, str | None], None]

#: Pools that put out what they read where that has one position.
_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AvgPool2d, nn.AvgPool3d)
_SOFTMAX = (F.softmax, torch.softmax, "softmax")
_LOG_SOFTMAX = (F.log_softmax, torch.log_softmax, "log_softmax")
#: Choices of classes, which the hardware makes itself at the end.
_ARGMAX = (torch.argmax, "argmax")


def _kind(node: fx.Node, traced: fx.GraphModule) -> str:
    """A layer's class name, or the name of the function that is called."""
    if node.op == "call_module":
        return type(traced.get_submodule(str(node.target))).__name__
    function = node.target
    if isinstance(function, str):
        return function
    return OPERATORS[function] if function in OPERATORS else getattr(function, "__name__", str(function))


def _name(node: fx.Node, traced: fx.GraphModule) -> str:
    """A layer's qualified name; a function's is that of the module whose forward calls it, and its own."""
    if node.op in ("call_module", "get_attr"):
        return str(node.target)
    *_, owner = node.meta.get("nn_module_stack", {}) or ("",)
    return f"{owner}.{_kind(node, traced)}" if owner else node.name


def _module_of(node: fx.Node, traced: fx.GraphModule) -> nn.Module:
    """The module that a call runs or stands for; raises Unsupported."""
    if node.op == "call_module":
        return traced.get_submodule(str(node.target))
    target: Any = node.target
    if target in FUNCTIONS:
        given = {name: value for name, value in node.kwargs.items() if name != "out"}  # refused elsewhere
        try:
            return FUNCTIONS[target](*node.args, **given)
        except TypeError:
            raise Unsupported(f"is called with {', '.join(given)}, which is not followed") from None
    raise Unsupported(f"is not followed; {of_function(target)}")


class Calls:
    """One pass over the calls, with the value of each."""

    def __init__(self, traced: Traced, shared: dict[str, list[Shared]], lowering: Lowering, visit: Visit) -> None:
        self.shapes, self.module, self.lowering, self._visit = traced.shapes, traced.module, lowering, visit
        self.shared = shared
        self.called: set[str] = set()
        self.untaken: set[fx.Node] = set()
        #: Calls whose result has one position on the stream and several in the model, or is made of such results.
        self.repeated: set[fx.Node] = set()
        self.refused = False
        self.values: dict[fx.Node, Value] = {}
        self.in_place = follow_writes(self.module.graph, self.stands_for)
        self.own = own_tensors(self.module, lambda node: written(node, self.stands_for(node)) is not None)
        followed = {*FUNCTIONS, *CALLS, *JOINS}
        self.same = {node: operand for node, operand in traced.same.items() if node.target not in followed}
        # What nothing reads is not computed; who reads what a call has overwritten reads the call by now. A call that
        # writes and cannot be followed stays, to be refused.
        for node in reversed(list(self.module.graph.nodes)):
            refused = node in self.in_place or not self.is_followed(node)
            writes = written(node, self.stands_for(node)) is not None
            kept = node.op in ("output", "placeholder") or (writes and refused)
            if not (kept or node.users):
                self.module.graph.erase_node(node)

    def visit(self, name: str, kind: str, reason: str | None) -> None:
        self.refused |= reason is not None
        self._visit(name, kind, reason)

    def run(self) -> None:
        """Lower every call, in the order they run."""
        for node in self.module.graph.nodes:
            if node.op == "output":
                self.end(node.args[0])
            else:
                self.step(node)

    def step(self, node: fx.Node) -> None:
        """Lower one call."""
        if node in self.own and all(self.takes_own(user) for user in node.users):
            return
        value = self.input(node) if node.op == "placeholder" else self.call(node)
        self.values[node] = value.fork() if len(node.users) > 1 else value

    def takes_own(self, node: fx.Node) -> bool:
        """Whether a call takes tensors of the model's own beside what it reads, or computes on nothing else."""
        if node.op == "call_module" or all(operand in self.own for operand in node.all_input_nodes):
            return node.op in ("call_function", "call_method")
        return node.target in CALLS or node.target in JOINS

    def stands_for(self, node: fx.Node) -> nn.Module | None:
        """The module that a call runs or stands for, if it is followed."""
        if node.op not in ("call_module", "call_function", "call_method"):
            return None
        try:
            return _module_of(node, self.module)
        except Unsupported:
            return None

    def input(self, node: fx.Node) -> Value:
        if not self.values:
            return self.lowering.input
        self.visit(str(node.target), "input", "is a second input; a network takes one")
        return self.lowering.input.unknown(self.shapes.get(node))

    def call(self, node: fx.Node) -> Value:
        """The value of a call, which is reported."""
        name = _name(node, self.module)
        kind = "tensor" if node.op == "get_attr" else _kind(node, self.module)
        drafts = len(self.lowering.network.drafts)
        try:
            value = self.lower(name, node)
            self.follow_repeated(node, value, drafts)
        except Unsupported as error:
            repeated = self.is_followed(node) and any(operand in self.repeated for operand in node.all_input_nodes)
            self.visit(name, kind, REPEATED if repeated else str(error))
            return self.lowering.input.unknown(self.shapes.get(node))
        self.visit(name, kind, None)
        return value.unknown(self.shapes.get(node)) if value.blind else value

    def lower(self, name: str, node: fx.Node) -> Value:
        """The value of a call; raises Unsupported."""
        if node.op == "get_attr":
            raise Unsupported("is a tensor used in forward; keep it inside a layer")
        if node in self.in_place:
            raise Unsupported(self.in_place[node])
        if node.kwargs.get("out") is not None:
            raise Unsupported("writes into out=, which is not followed; what it returns is")
        if self.ends_in_softmax(name, node):
            return self.values[node.all_input_nodes[0]]
        if node.target in _ARGMAX and self.only_reads(node):
            raise Unsupported(f"is not followed; {LAST_CALL}")
        if node in self.same:
            return self.values[self.same[node]]
        operands = [operand for operand in node.all_input_nodes if operand not in self.own]
        if not operands and node.op != "call_module":
            raise self.of_own_alone(node)
        if any(operand in self.untaken for operand in operands):  # which has been reported
            self.untaken |= {node} if all(operand in self.untaken for operand in operands) else set()
            return self.lowering.input.unknown(self.shapes.get(node))
        if node.op != "call_module" and node.target in CALLS and len(operands) == 1:
            return self.called_on(name, node, operands[0])
        if node.op != "call_module" and node.target in JOINS and operands:
            return self.joined(name, node, operands)
        module = _module_of(node, self.module)
        if len(node.all_input_nodes) != 1:
            raise Unsupported("reads several results, which is not followed; a layer reads one")
        if node.op == "call_module":
            self.refuse_shared(name)
        return lower_layer(self.lowering, name, module, self.values[node.all_input_nodes[0]])

    def is_followed(self, node: fx.Node) -> bool:
        """Whether calls like this one have a lowering."""
        module = self.stands_for(node)
        return layer_type(module) is not None if module is not None else node.target in CALLS or node.target in JOINS

    def follow_repeated(self, node: fx.Node, value: Value, drafts: int) -> None:
        """Mark a result of which the stream has one position and the model several.

        Where that is read as if it had one, the result is the same at all positions. What has zeros beside these does
        not: it raises Unsupported.

        Parameters
        ----------
        node : fx.Node
        value : Value
            Its result.
        drafts : int
            How many there were before it.
        """
        shape = self.shapes.get(node)
        if value.blind or (shape is not None and shape[1:] == value.axes.sizes):
            return
        if any(operand in self.repeated for operand in node.all_input_nodes):
            windows = (getattr(draft, "window", Window()) for draft in self.lowering.network.drafts[drafts:])
            if isinstance(value.pending, Padding) or any(any(map(any, window.padding)) for window in windows):
                raise Unsupported(REPEATED)
        elif node.target not in EXPANDING:
            return
        self.repeated.add(node)

    def of_own_alone(self, node: fx.Node) -> Unsupported:
        """Why what a call makes of the model's own tensors is not taken."""
        self.untaken.add(node)
        read = {operand: self.own.get(operand) for operand in node.all_input_nodes}
        for operand, tensor in read.items():
            if isinstance(tensor, nn.Parameter) and tensor.requires_grad:
                return Unsupported(
                    f"is computed of the parameter {operand.target}, which would not be trained by it; keep the result "
                    "as the parameter"
                )
        return Unsupported("is computed of the model's own tensors alone; compute it once, outside of forward")

    def ends_in_softmax(self, name: str, node: fx.Node) -> bool:
        """Whether a call is the model's last, a softmax over classes: it is left out, and compared with.

        Raises
        ------
        Unsupported
            For any other softmax.
        """
        module = self.module.get_submodule(str(node.target)) if node.op == "call_module" else None
        log = isinstance(module, nn.LogSoftmax) or node.target in _LOG_SOFTMAX
        if not (log or isinstance(module, nn.Softmax | nn.Softmax2d) or node.target in _SOFTMAX):
            return False
        shape = self.shapes.get(node, ())
        dim = getattr(module, "dim", node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None))
        axis = dim % max(len(shape), 1) if isinstance(dim, int) else 1
        over_classes = axis > 0 and all(size == 1 for number, size in enumerate(shape) if number not in (0, axis))
        if axis == 0:
            raise Unsupported("acts on the samples of a batch together, which is not supported")
        if not (self.only_reads(node) and over_classes and len(node.all_input_nodes) == 1):
            raise Unsupported(WITHIN)
        self.lowering.softmax = name, partial(F.log_softmax if log else F.softmax, dim=1)
        return True

    def only_reads(self, node: fx.Node) -> bool:
        """Whether what follows a call up to the end only reads the same values with other axes."""
        while [user.op for user in node.users] != ["output"]:
            if len(node.users) != 1:
                return False
            (user,) = node.users
            if math.prod(self.shapes.get(user, ())) != math.prod(self.shapes.get(node, ())):
                return False
            module = self.stands_for(user)
            views = user.op != "call_module" and user.target in VIEWING_CALLS
            if not (views or isinstance(module, (*VIEWING, *PASSING, *_POOLS))):
                return False
            node = user
        return True

    def called_on(self, name: str, node: fx.Node, operand: fx.Node) -> Value:
        """The value of a call on one value that stands for no layer."""
        own = {n: self.own[n] for n in node.all_input_nodes if n is not operand}
        args: Any = fx.node.map_arg(node.args, own.get)
        kwargs: Any = fx.node.map_arg(node.kwargs, own.get)
        if node.args and node.args[0] is operand:
            args = args[1:]
        else:
            read = [key for key in ("input", "self") if node.kwargs.get(key) is operand]
            kwargs = {key: value for key, value in kwargs.items() if key not in read}
        x = self.lowering.settled(self.values[operand], CALLS_TAKE[node.target])
        if x.blind:
            return x
        return CALLS[node.target](self.lowering, name, self.as_call(node, [operand], own, args, kwargs), x)

    def joined(self, name: str, node: fx.Node, operands: list[fx.Node]) -> Value:
        """The value of a call on several values."""
        own = {n: self.own[n] for n in node.all_input_nodes if n not in operands}
        given = own | {operand: Operand(index) for index, operand in enumerate(operands)}
        args: Any = fx.node.map_arg(node.args, given.__getitem__)
        kwargs: Any = fx.node.map_arg(node.kwargs, given.__getitem__)
        values = [self.lowering.settled(self.values[operand], JOINS_TAKE[node.target]) for operand in operands]
        blind = next((value for value in values if value.blind), None)
        if blind is not None:
            return self.lowering.input.unknown(self.shapes.get(node))
        return JOINS[node.target](self.lowering, name, self.as_call(node, operands, own, args, kwargs), values)

    def as_call(self, node: fx.Node, operands: list[fx.Node], own: dict[fx.Node, Any], args: Any, kwargs: Any) -> Call:
        """What a kind is told of a call."""

        def of(tensors: Sequence[Any], *values: Any) -> Any:
            given = dict(zip(own, tensors, strict=True)) | dict(zip(operands, values, strict=True))
            taken: Any = fx.node.map_arg(node.args, given.__getitem__)
            named: Any = fx.node.map_arg(node.kwargs, given.__getitem__)
            if isinstance(node.target, str):
                return getattr(taken[0], node.target)(*taken[1:], **named)
            return node.target(*taken, **named)

        return Call(
            *(tuple(args), dict(kwargs), self.shapes.get(node, ()), self.shapes.get(operands[0], ()), of),
            own=tuple(own.values()),
            kind=_kind(node, self.module),
        )

    def refuse_shared(self, name: str) -> None:
        """Raise Unsupported for a layer that trains together with one that is called before it."""
        self.called.add(name)
        for shared in self.shared.get(name, ()):
            if shared.module in self.called:
                raise Unsupported(
                    f"shares its {shared.own} with the {shared.tensor} of {shared.module}, which is not supported; "
                    "a copy of it would train apart"
                )

    def end(self, returned: Any) -> None:
        """The conditions on a whole network."""
        if not isinstance(returned, fx.Node):
            self.visit("output", "output", "is not a single result; return the logits alone")
            return
        if returned in self.repeated:
            self.visit("", "model", REPEATED)
            return
        logits = self.lowering.settled(self.values[returned])
        last = self.lowering.network.last
        if logits.blind:
            return
        if self.lowering.network.layers == 0 or last is None:
            self.visit("", "model", "has no layer with weights; add an nn.Linear")
            return
        if logits.flat or logits.shape[:3] == (1, 1, 1):
            flatten_stream(self.lowering, "output", logits)
        else:
            volume = list(logits.shape[:3])
            another = "ended by nn.Flatten() and nn.Linear it would be another network"
            self.visit("", "model", f"ends with a volume of {volume}, which is not supported; {another}")
        if math.prod(logits.shape) == 1:
            self.visit(last.source, "model", ONE_LOGIT)
        if last.unfit_for_logits is not None:
            self.visit(last.source, "model", last.unfit_for_logits)
