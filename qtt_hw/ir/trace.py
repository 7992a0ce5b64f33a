"""A PyTorch model walked as a chain of layers: torch.fx finds the calls, lowering takes each in turn."""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.ir.draft import ContractionDraft
from qtt_hw.ir.lower import LEAVES, Lowering, Unsupported

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
    F.dropout3d: "use nn.Dropout3d",
    F.max_pool3d: "use nn.MaxPool3d",
    F.avg_pool3d: "use nn.AvgPool3d",
    F.adaptive_avg_pool3d: "use nn.AdaptiveAvgPool3d(1)",
    F.conv3d: "use nn.Conv3d",
    F.linear: "use nn.Linear",
    F.batch_norm: "use nn.BatchNorm3d",
    F.softmax: "leave it out: the hardware puts out logits and their argmax",
    F.log_softmax: "leave it out: the hardware puts out logits and their argmax",
    "view": "use torch.flatten(x, 1)",
    "reshape": "use torch.flatten(x, 1)",
    torch.reshape: "use torch.flatten(x, 1)",
    "mean": "use nn.AdaptiveAvgPool3d(1)",
    torch.mean: "use nn.AdaptiveAvgPool3d(1)",
}


class _Tracer(fx.Tracer):
    """Enters every module but PyTorch's own and the tensor-train layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


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


def _trace(model: nn.Module, example: Tensor) -> tuple[fx.GraphModule, dict[fx.Node, tuple[int, ...]]]:
    """The traced copy of the model in evaluation mode and the shape of every call on the example."""
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
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PyTorch has to say of the model's own calls
            shapes.run(example)
    except Exception as error:
        raise ValueError(
            f"{name}: does not run on an example of shape {list(example.shape)}: {_first_line(error)}"
        ) from None
    return traced, shapes.shapes


def _module_of(node: fx.Node, traced: fx.GraphModule) -> nn.Module:
    """The module that a call runs or stands for; raises Unsupported."""
    if node.op == "call_module":
        return traced.get_submodule(str(node.target))
    target = node.target
    if target in _ADD and len(node.all_input_nodes) > 1:
        raise Unsupported("adds two branches; a residual network is not supported, use a plain chain of layers")
    if target in _CONCAT:
        raise Unsupported("joins branches; use a plain chain of layers")
    kind = _AS_MODULE.get(target)
    if kind is None:
        raise Unsupported(f"is not followed; {_INSTEAD.get(target, 'use a module of torch.nn')}")
    if kind is nn.Flatten:
        given: dict[str, Any] = dict(zip(("input", "start_dim", "end_dim"), node.args, strict=False)) | node.kwargs
        return nn.Flatten(given.get("start_dim", 0), given.get("end_dim", -1))
    return kind()


def _kind(node: fx.Node, traced: fx.GraphModule) -> str:
    """A layer's class name, or the name of the function that is called."""
    if node.op == "call_module":
        return type(traced.get_submodule(str(node.target))).__name__
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


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
    example : float tensor, [N, C, D, H, W]
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
    if example.ndim != 5:
        raise ValueError(f"the example must have axes [N, C, D, H, W], got shape {list(example.shape)}")
    n, c, d, h, w = example.shape
    traced, shapes = _trace(model, example)
    lowering = Lowering((d, h, w, c), input_format, tt_form)
    current: fx.Node | None = None
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            if current is not None:
                visit(str(node.target), "input", "is a second input; a network takes one")
            else:
                current = node
            continue
        if node.op == "output":
            returned = node.args[0]
            if returned is not current:
                visit("output", "output", "is not the last layer's single result; return that alone")
            continue
        name = str(node.target) if node.op == "call_module" else node.name
        kind = _kind(node, traced)
        if node.op == "get_attr":
            visit(name, "tensor", "is a tensor used in forward; keep it inside a layer")
            continue
        try:
            module = _module_of(node, traced)
            if node.all_input_nodes != [current]:
                raise Unsupported("does not read the layer before it; use a plain chain of layers")
            lowering.apply(name, module)
        except Unsupported as error:
            visit(name, kind, str(error))
            _resume(lowering, shapes.get(node))
        else:
            visit(name, kind, None)
        current = node
    _finish(lowering, visit)
    return lowering


def _resume(lowering: Lowering, shape: tuple[int, ...] | None) -> None:
    """Go on behind a layer that could not be lowered, with the shape that it really put out."""
    lowering.open = lowering.relu_target = None
    lowering.blind = True
    if shape is not None and len(shape) in (2, 5):
        c, d, h, w = (*shape[1:], 1, 1, 1)[:4]
        lowering.shape = (d, h, w, c)
        lowering.flat = len(shape) == 2


def _finish(lowering: Lowering, visit: Visit) -> None:
    """The conditions on a whole network."""
    contractions = [draft for draft in lowering.chain.drafts if isinstance(draft, ContractionDraft)]
    if lowering.blind:
        return
    if not contractions:
        visit("", "model", "has no layer with weights; add an nn.Linear")
        return
    if lowering.flat:
        lowering.flatten_stream("output")
    elif lowering.shape[:3] != (1, 1, 1):
        visit("", "model", f"ends with a volume of {list(lowering.shape[:3])}; end it with nn.Flatten() and nn.Linear")
    if contractions[-1].relu:
        visit(contractions[-1].source, "model", "ends with a ReLU; leave it out, logits are signed")
