"""A network's lowering in progress: the drafts so far, and what a kind of stage is to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT
from qtt_hw.lower.axes import Axes
from qtt_hw.lower.draft import Draft, NetworkDraft
from qtt_hw.lower.stage import Place
from qtt_hw.lower.value import Pending, Unsupported, Value
from qtt_hw.window import Shape

__all__ = ["Call", "Caller", "Handler", "Joiner", "Kind", "Lowering", "Operand", "place"]


class Lowering:
    """Drafts of a network's stages, layer by layer.

    Parameters
    ----------
    shape : tuple of int
        (D, H, W, C) of the input.
    input_format : Format
    tt_form : "streamed" or "merged"
        See `QuantConfig`.
    axes : int
        How many the model reads its input with, behind the batch: 3 for [N, C, H, W], 1 for [N, C].
    """

    def __init__(
        self,
        shape: Shape,
        input_format: Format,
        tt_form: Literal["streamed", "merged"] = "streamed",
        axes: int = 4,
    ) -> None:
        self.tt_form = tt_form
        self.network = NetworkDraft()
        self.input = Value(INPUT, shape, nonnegative=not input_format.signed, axes=Axes.of(shape, axes))
        self.names: set[str] = {INPUT}
        self.used: set[str] = set()
        self.taken: dict[int, str] = {}
        #: The softmax that ends the model, by its call's name, and what it computes of logits [N, classes].
        self.softmax: tuple[str, Callable[[torch.Tensor], torch.Tensor]] | None = None
        self.fixed: set[str] = set()
        #: Calls behind which the model stops gradients, and autograd functions with a backward of their own.
        self.detached: list[str] = []
        self.gradients: Sequence[str] = ()
        #: What is said of the model's dtypes, where they are taken for others.
        self.converted: str | None = None
        self._settled: dict[int, tuple[Pending, Value]] = {}
        #: Concatenations by the streams that they put together.
        self.concatenations: dict[tuple[str, ...], Value] = {}
        #: By stage, the one through which all that it reads comes, and how many such stages are before it.
        self._gates: dict[str, tuple[str, int]] = {INPUT: (INPUT, 0)}

    def append(self, draft: Draft, like: Value, axes: Axes | None = None) -> Value:
        """Append a stage and return its output: the Value `like`, with the stage's own edge and shape.

        Its axes are read as those of `like`, unless they are given.
        """
        name = draft.name
        if name in self.names:
            name = next(f"{name}_{i}" for i in range(1, 10**6) if f"{name}_{i}" not in self.names)
            draft.place = replace(draft.place, name=name)
        shape = draft.out_shape  # checks the window
        self.names.add(name)
        self.network.drafts.append(draft)
        gate = self.gate(draft.inputs)
        self._gates[name] = gate, self._gates[gate][1] + 1
        return replace(like, edge=name, shape=shape, axes=like.axes.like(like.shape, shape) if axes is None else axes)

    def gate(self, inputs: Sequence[str]) -> str:
        """The last stream through which all that makes some streams comes."""
        gate = inputs[0]
        for name in inputs[1:]:
            while name != gate:
                if self._gates[name][1] > self._gates[gate][1]:
                    name = self._gates[name][0]
                else:
                    gate = self._gates[gate][0]
        return gate

    def comes_through(self, edge: str, other: str) -> bool:
        """Whether all that makes a stream comes through another one."""
        while self._gates[edge][1] > self._gates[other][1]:
            edge = self._gates[edge][0]
        return edge == other

    def settled(self, x: Value, takes: tuple[type, ...] = ()) -> Value:
        """A value with nothing pending but what its reader takes in; a stage is made once for all readers."""
        if x.pending is None or isinstance(x.pending, takes):
            return x
        key = id(x.pending)
        if key not in self._settled:
            self._settled[key] = x.pending, x.pending.settled(self)  # held, so that no other has its id
        found = self._settled[key][1]
        return found.fork() if x.forked else found

    def use_weights(self, name: str, module: nn.Module) -> None:
        """Take a layer's weights for a stage; raises Unsupported on its second call, or if they are no nn.Parameter."""
        if name in self.used:
            raise Unsupported("is called twice, and shared weights are not supported; copies of it would train apart")
        self.used.add(name)
        for tensor in ("weight", "bias"):
            value = getattr(module, tensor, None)
            if isinstance(value, nn.Parameter):
                before = self.taken.setdefault(value.data_ptr(), name)
                if before != name:
                    raise self._shared(tensor, before)
            if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
                raise Unsupported(f"has a {tensor} that is no nn.Parameter; what computes it would not be trained")
        trained = {p.requires_grad for own, p in module.named_parameters() if own != "bias"}
        if len(trained) > 1:
            raise Unsupported(
                "has cores of which only some have requires_grad, which is not supported; train all or none"
            )
        if trained == {False}:
            self.fixed.add(name)

    def use_parameters(self, name: str, tensors: Sequence[torch.Tensor]) -> None:
        """Take the parameters among the tensors of a call for a stage; raises Unsupported on their second use."""
        for tensor in tensors:
            if isinstance(tensor, nn.Parameter) and tensor.requires_grad:
                if tensor.data_ptr() in self.taken:
                    raise self._shared("parameter", self.taken[tensor.data_ptr()])
                self.taken[tensor.data_ptr()] = name

    def _shared(self, what: str, before: str) -> Unsupported:
        return Unsupported(f"shares its {what} with {before}, which is not supported; a copy of it would train apart")


def place(name: str, source: str, *inputs: Value) -> Place:
    """The Place of a stage of that name that reads these values."""
    return Place(name, tuple(x.edge for x in inputs), source, inputs[0].shape)


#: The result of a layer of that qualified name on a value; raises Unsupported, or ValueError where the input is wrong.
Handler = Callable[[Lowering, str, Any, Value], Value]


class Operand(int):
    """Stands for a value among the arguments of a call, by its number."""


@dataclass(frozen=True)
class Call:
    """A call of a function or method on one value or several.

    Parameters
    ----------
    args, kwargs
        What it is given, with the tensors of the model's own among it: of one value besides that value, of several
        with an Operand for each.
    made : tuple of int
        The shape of its result on the example, the batch included.
    read : tuple of int
        That of what it reads, of several the first.
    of : callable
        The call itself, on a sequence of tensors in place of the model's own, and on others in place of its values.
    own : tuple of Tensor
        The model's own tensors among the arguments.
    kind : str
        The function's name.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    made: tuple[int, ...]
    read: tuple[int, ...]
    of: Callable[..., Any]
    own: tuple[torch.Tensor, ...]
    kind: str

    def function(self, *tensors: Any) -> Any:
        """The call on tensors in place of its values."""
        return self.of(self.own, *tensors)


#: The result of a call on a value; raises Unsupported.
Caller = Callable[[Lowering, str, Call, Value], Value]
#: The result of a call on several values; raises Unsupported.
Joiner = Callable[[Lowering, str, Call, Sequence[Value]], Value]


@dataclass(frozen=True)
class Kind:
    """The modules and calls that become stages of one kind, or that join earlier stages.

    Parameters
    ----------
    layers : mapping of nn.Module class to Handler
    functions : mapping of call to callable
        The layer that a function or method, as torch.fx names it, stands for, from its arguments by name and position.
    calls : mapping of call to Caller
        Functions and methods that stand for no layer.
    joins : mapping of call to Joiner
        Functions of several results.
    takes : tuple of type
        What may be pending of what its layers, calls and joins read; all else has a stage before they are met.
    weighted : bool
        Its layers hold weights, which become a stage's own.
    passing : bool
        Its layers put out what they read, itself, in evaluation.
    viewing : bool
        Its layers and calls may put out a view of what they read.
    """

    layers: Mapping[type[nn.Module], Handler] = field(default_factory=dict)
    functions: Mapping[Any, Callable[..., nn.Module]] = field(default_factory=dict)
    calls: Mapping[Any, Caller] = field(default_factory=dict)
    joins: Mapping[Any, Joiner] = field(default_factory=dict)
    takes: tuple[type, ...] = ()
    weighted: bool = False
    passing: bool = False
    viewing: bool = False
