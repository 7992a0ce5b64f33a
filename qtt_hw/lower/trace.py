"""A PyTorch model walked as a graph of layers: torch.fx finds the calls, lowering takes each in turn."""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.lower import LEAVES, Lowering
from qtt_hw.lower.value import Unsupported, Value
from qtt_hw.nn.planar import is_planar, with_depth, without_depth

__all__ = ["Visit", "walk"]

#: Called with a layer's qualified name, its type, and why it cannot be lowered (None when it can).
Visit = Callable[[str, str, str | None], None]

_ADD = (operator.add, operator.iadd, torch.add, "add", "add_")
_CONCAT = (torch.cat, torch.concat, torch.stack)
#: Calls that stand for a module without parameters of its own.
_AS_MODULE: dict[Any, type[nn.Module]] = {
    F.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    torch.relu_: nn.ReLU,
    F.relu_: nn.ReLU,
    "relu": nn.ReLU,
    "relu_": nn.ReLU,
    torch.flatten: nn.Flatten,
    "flatten": nn.Flatten,
    "contiguous": nn.Identity,
}
#: What to use instead of a function that is not followed.
_INSTEAD = {
    F.dropout: "use nn.Dropout",
    F.dropout2d: "use nn.Dropout2d",
    F.dropout3d: "use nn.Dropout3d",
    F.max_pool2d: "use nn.MaxPool2d",
    F.max_pool3d: "use nn.MaxPool3d",
    F.avg_pool2d: "use nn.AvgPool2d",
    F.avg_pool3d: "use nn.AvgPool3d",
    F.adaptive_avg_pool2d: "use nn.AdaptiveAvgPool2d(1)",
    F.adaptive_avg_pool3d: "use nn.AdaptiveAvgPool3d(1)",
    F.conv2d: "use nn.Conv2d",
    F.conv3d: "use nn.Conv3d",
    F.linear: "use nn.Linear",
    F.batch_norm: "use nn.BatchNorm2d or nn.BatchNorm3d",
    F.softmax: "leave it out: the hardware puts out logits and their argmax",
    F.log_softmax: "leave it out: the hardware puts out logits and their argmax",
    "view": "use torch.flatten(x, 1)",
    "reshape": "use torch.flatten(x, 1)",
    torch.reshape: "use torch.flatten(x, 1)",
    **dict.fromkeys(("mean", torch.mean), "use nn.AdaptiveAvgPool2d(1) or nn.AdaptiveAvgPool3d(1)"),
    **dict.fromkeys(("squeeze", torch.squeeze), "leave it out: 2D layers take [N, C, 1, H, W] as [N, C, H, W]"),
}


class _Tracer(fx.Tracer):
    """Enters every module but PyTorch's own and the tensor-train layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


@dataclass(frozen=True)
class _Traced:
    """A traced model, the output shape of every call on the example, and whether it computes what the model does."""

    module: fx.GraphModule
    shapes: dict[fx.Node, tuple[int, ...]]
    faithful: bool


class _Shapes(fx.Interpreter):
    """Runs the example through and keeps every call's output shape."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n] = tuple(result.shape)
        return result


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _trace(model: nn.Module, example: Tensor) -> _Traced:
    """A copy of the model in evaluation mode, traced, and run on random values of the example's shape."""
    if type(model).__module__.startswith("torch.nn") or isinstance(model, LEAVES):
        model = nn.Sequential(model) if not isinstance(model, nn.Sequential) else model
    model = copy.deepcopy(model).eval()
    name = type(model).__name__
    try:
        traced = fx.GraphModule(model, _Tracer().trace(model))
    except Exception as error:
        # Tracing runs the user's forward, which may raise anything.
        raise ValueError(
            f"{name}: forward cannot be traced ({_first_line(error)}); let it not depend on the input's values"
        ) from None
    shapes = _Shapes(traced)
    x = torch.rand(example.shape, generator=torch.Generator().manual_seed(0)).to(example)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PyTorch has to say of the model's own calls
            expected, found = model(x.clone()), shapes.run(x)
    except Exception as error:
        raise ValueError(
            f"{name}: does not run on an example of shape {list(example.shape)}: {_first_line(error)}"
        ) from None
    # Not exactly equal: a GPU's sums may come in another order each time.
    differs = isinstance(found, Tensor) and bool((expected - found).abs().max() > 1e-2 * expected.abs().max())
    return _Traced(traced, shapes.shapes, not differs)


def _kind(node: fx.Node, traced: fx.GraphModule) -> str:
    """A layer's class name, or the name of the function that is called."""
    if node.op == "call_module":
        return type(traced.get_submodule(str(node.target))).__name__
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


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
    target = node.target
    if target in _CONCAT:
        raise Unsupported("joins branches; add them, or use one layer with all the channels")
    kind = _AS_MODULE.get(target)
    if kind is None:
        raise Unsupported(f"is not followed; {_INSTEAD.get(target, 'use a module of torch.nn')}")
    if kind is nn.Flatten:
        given: dict[str, Any] = dict(zip(("input", "start_dim", "end_dim"), node.args, strict=False)) | node.kwargs
        return nn.Flatten(given.get("start_dim", 0), given.get("end_dim", -1))
    return kind()


class _Walk:
    """One pass over the calls, with the value of each."""

    def __init__(self, traced: _Traced, lowering: Lowering, visit: Visit) -> None:
        self.traced, self.module, self.lowering, self.visit = traced, traced.module, lowering, visit
        self.values: dict[fx.Node, Value] = {}

    def run(self) -> None:
        """Lower every call, in the order they run."""
        for node in self.module.graph.nodes:
            if node.op == "output":
                self.end(node.args[0])
                continue
            value = self.input(node) if node.op == "placeholder" else self.call(node)
            self.values[node] = value.fork() if len(node.users) > 1 else value

    def input(self, node: fx.Node) -> Value:
        if not self.values:
            return self.lowering.input
        self.visit(str(node.target), "input", "is a second input; a network takes one")
        return self.lowering.input.unknown(self.traced.shapes.get(node))

    def call(self, node: fx.Node) -> Value:
        """The value of a call, which is reported."""
        name = _name(node, self.module)
        kind = "tensor" if node.op == "get_attr" else _kind(node, self.module)
        try:
            value = self.lower(name, node)
        except Unsupported as error:
            self.visit(name, kind, str(error))
            return self.lowering.input.unknown(self.traced.shapes.get(node))
        self.visit(name, kind, None)
        return value

    def lower(self, name: str, node: fx.Node) -> Value:
        """The value of a call; raises Unsupported."""
        if node.op == "get_attr":
            raise Unsupported("is a tensor used in forward; keep it inside a layer")
        if not node.users:
            raise Unsupported("puts out what nothing reads; leave it out")
        if node.op != "call_module" and node.target in _ADD:
            return self.lowering.sum(name, *self.operands(node))
        module = _module_of(node, self.module)
        if len(node.all_input_nodes) != 1:
            raise Unsupported("reads several results; a layer reads one, an addition two")
        return self.lowering.apply(name, module, self.values[node.all_input_nodes[0]])

    def operands(self, node: fx.Node) -> tuple[Value, Value]:
        """What an addition adds."""
        given = dict(node.kwargs)
        if given.pop("alpha", 1) != 1:
            raise Unsupported(f"has alpha={node.kwargs['alpha']}; scale the weights of the layer before it instead")
        operands = [operand for operand in (*node.args, *given.values()) if isinstance(operand, fx.Node)]
        if len(operands) != 2:
            raise Unsupported("adds a constant; use a bias of the layer before it")
        a, b = (self.values[operand] for operand in operands)
        return a, b

    def end(self, returned: Any) -> None:
        """The conditions on a whole network."""
        if not isinstance(returned, fx.Node):
            self.visit("output", "output", "is not a single result; return the logits alone")
            return
        logits, last = self.values[returned], self.lowering.network.last
        if logits.blind:
            return
        if self.lowering.network.layers == 0 or last is None:
            self.visit("", "model", "has no layer with weights; add an nn.Linear")
            return
        if logits.flat:
            self.lowering.flatten_stream("output", logits)
        elif logits.shape[:3] != (1, 1, 1):
            volume = list(logits.shape[:3])
            self.visit("", "model", f"ends with a volume of {volume}; end it with nn.Flatten() and nn.Linear")
        if last.relu:
            self.visit(last.source, "model", "ends with a ReLU; leave it out, logits are signed")
        if not self.traced.faithful:
            self.visit("", "model", "changes in place what it reads again later; write y = y + x for y += x")


def walk(
    model: nn.Module,
    example: Tensor,
    input_format: Format,
    visit: Visit,
    tt_form: Literal["streamed", "merged"] = "streamed",
) -> Lowering:
    """Lower every call of the model in turn, reporting each to `visit`, supported or not.

    Parameters
    ----------
    model : nn.Module
    example : float tensor, [N, C, D, H, W] or [N, C, H, W]
        Of depth 1 for a network with 2D layers.
    input_format : Format
    visit : callable
        May raise to stop at the first layer that cannot be lowered.
    tt_form : "streamed" or "merged"
        See `QuantConfig`.

    Raises
    ------
    ValueError
        When the model cannot be traced or does not run on the example.
    """
    if example.ndim not in (4, 5):
        raise ValueError(f"the example must have axes [N, C, D, H, W] or [N, C, H, W], got {list(example.shape)}")
    example = with_depth(example)
    _, c, d, h, w = example.shape
    traced = _trace(model, without_depth(example) if is_planar(model) else example)
    lowering = Lowering((d, h, w, c), input_format, tt_form)
    _Walk(traced, lowering, visit).run()
    return lowering
