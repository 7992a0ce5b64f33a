"""Tensors of a model's own that its calls take: parameters, buffers, and what forward makes of these alone."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from qtt_hw.lower.failures import FAILURES

__all__ = ["own_tensors"]

#: Functions and methods that put out what they read with other axes.
_VIEWS = frozenset(
    (
        *(
            "view",
            "reshape",
            "flatten",
            "unflatten",
            "squeeze",
            "unsqueeze",
            "permute",
            "transpose",
            "movedim",
            "detach",
        ),
        *(torch.reshape, torch.flatten, torch.unflatten, torch.squeeze, torch.unsqueeze, torch.permute),
        *(torch.transpose, torch.movedim, operator.getitem, "view_as", "reshape_as", "contiguous", "to", "type_as"),
    )
)


def own_tensors(module: fx.GraphModule, writes: Callable[[fx.Node], bool]) -> dict[fx.Node, Tensor]:
    """By call that reads none of the network's results, the tensor that it puts out.

    A parameter with other axes is a parameter still, in the same memory. What else is computed of one that is trained
    is not among them, as it would not be trained; what is computed of others is a constant.

    Parameters
    ----------
    module : fx.GraphModule
    writes : callable
        Whether a call writes into what it reads, whose result is not taken.
    """
    found: dict[fx.Node, Tensor] = {}
    for node in module.graph.nodes:
        if node.op == "get_attr":
            owner, _, name = str(node.target).rpartition(".")
            found[node] = getattr(module.get_submodule(owner), name)
            continue
        read = node.all_input_nodes
        if node.op not in ("call_function", "call_method") or not read or writes(node):
            continue
        if not all(operand in found for operand in read):
            continue
        trained = [found[n] for n in read if isinstance(found[n], nn.Parameter) and found[n].requires_grad]
        if trained and (len(read) > 1 or node.target not in _VIEWS):
            continue
        args: Any = fx.node.map_arg(node.args, lambda n: found[n].detach())
        kwargs: Any = fx.node.map_arg(node.kwargs, lambda n: found[n].detach())
        target: Any = node.target
        try:
            made = getattr(args[0], target)(*args[1:], **kwargs) if isinstance(target, str) else target(*args, **kwargs)
        except FAILURES:  # which the call itself, where it is refused, reports
            continue
        if trained and not (made.numel() == trained[0].numel() and made.data_ptr() == trained[0].data_ptr()):
            continue
        if isinstance(made, Tensor):
            found[node] = nn.Parameter(made) if trained else made
    return found
