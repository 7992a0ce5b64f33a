"""The integer network without its roundings and clamps: what each stage's output would be in exact arithmetic.

It has the integer model's own weights, multipliers and offsets. What is left out is what stages do to their results:
no output is rounded, none is clamped to its format, and means and tables are not rounded either (a table is read
between its entries along straight lines). ReLU, the lower bound 0 of an unsigned output, is part of the network and
stays. The difference to the golden model is therefore what rounding and clamping between the stages amount to, and
nothing else; it says nothing about how the weights were quantised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import Requantizer
from qtt_hw.graph.graph import INPUT, Graph
from qtt_hw.graph.kinds import (
    Add,
    Concatenation,
    Contraction,
    Multiplication,
    Permutation,
    Pool,
    Reshape,
    Slice,
    Table,
)
from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.taps import taps

__all__ = ["exact", "stages"]

#: Values [N, D, H, W, C] in steps of a format, as integers would be, but not whole; and the format's edge.
Stream = tuple[NDArray[Any], Edge]

#: Below every value: what a maximum reads in padding.
LEAST = -(2**60)


def stages(graph: Graph, x: NDArray) -> Iterator[tuple[Node, NDArray]]:
    """Each stage with its output in steps of its output's format, [N, D, H, W, C] in float32 or float64.

    Parameters
    ----------
    graph : Graph
    x : integer array, [N, D, H, W, C]
        Preprocessed, as the golden model takes them. A stage's output is let go of when its last reader has run.
    """
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    values: dict[str, NDArray] = {INPUT: x.astype(np.float32)}
    for node in graph.nodes:
        y = exact(node, *((values[name], graph.edges[name]) for name in node.inputs))
        for name in set(node.inputs):
            if last[name] == node.name:
                del values[name]
        if node.name in last:
            values[node.name] = y
        yield node, y


def exact(node: Node, *streams: Stream) -> NDArray:
    """A stage's output in steps of its output's format, from its inputs' in steps of theirs; beside `Node.golden`."""
    return _KINDS[type(node)](node, [(x if x.dtype.kind == "f" else x.astype(np.float32), edge) for x, edge in streams])


def _scaled(requant: Requantizer, acc: NDArray) -> NDArray:
    """(acc * m + b) * 2**-s, and a ReLU's lower bound."""
    if requant.affine:
        scale = 2.0**-requant.shift
        acc = acc * (requant.multipliers * scale).astype(acc.dtype) + (requant.offsets * scale).astype(acc.dtype)
    else:
        acc = acc * acc.dtype.type(2.0**-requant.shift)
    return acc if requant.out.signed else np.maximum(acc, 0)


def _contraction(node: Contraction, inputs: list[Stream]) -> NDArray:
    ((x, edge),) = inputs
    low, high = node.accumulator(edge)
    dtype = np.float32 if max(-low, high) < 1 << 24 else np.float64  # of wide numbers, as those of codebooks
    outer, inner = node.lead * node.groups, node.in_size
    x = np.moveaxis(x.astype(dtype, copy=False).reshape(*x.shape[:4], outer, inner, node.trail), 5, 6)
    x = x.reshape(*x.shape[:4], node.in_channels)
    kernels = node.weight.astype(dtype).reshape(node.groups, node.out_size, *node.window.kernel, inner)
    positions = node.window.out_positions(edge.shape)
    total: NDArray | None = None
    for tap, taken in taps(x, node.window, 0):
        weight = kernels[(slice(None), slice(None), *tap)]  # [groups, out, in]
        if node.groups == 1:
            part = taken.reshape(-1, inner) @ weight[0].T
        else:
            grouped = taken.reshape(-1, node.groups, inner).transpose(1, 0, 2)
            part = (grouped @ weight.transpose(0, 2, 1)).transpose(1, 0, 2)
        total = part if total is None else total + part
    assert total is not None
    acc = total.reshape(len(x), *positions, node.lead, node.trail, node.groups * node.out_size)
    return _scaled(node.requant, np.moveaxis(acc, 6, 5).reshape(len(x), *positions, node.out_channels))


def _pool(node: Pool, inputs: list[Stream]) -> NDArray:
    ((x, edge),) = inputs
    if node.kind == "max":
        return reduce(np.maximum, (taken for _, taken in taps(x, node.window, LEAST)))
    total: NDArray = reduce(np.add, (taken for _, taken in taps(x, node.window, 0)))
    if node.counts_padding:
        return total / x.dtype.type(node.window.taps)
    d, h, w = (np.array([a.count(o) for o in range(a.out_size)]) for a in node.window.axes(edge.shape))
    return total / (d[:, None, None] * h[:, None] * w)[..., None].astype(x.dtype)


def _table(node: Table, inputs: list[Stream]) -> NDArray:
    ((x, edge),) = inputs
    codes = np.arange(edge.format.minimum, edge.format.maximum + 1)
    entries = np.array(node.entries, np.float64)[codes & (len(node.entries) - 1)]
    return np.interp(x, codes, entries).astype(x.dtype)


def _add(node: Add, inputs: list[Stream]) -> NDArray:
    (a, _), (b, _) = inputs
    return _scaled(node.requant, a * a.dtype.type(1 << node.left[0]) + b * b.dtype.type(1 << node.left[1]))


def _concatenation(node: Concatenation, inputs: list[Stream]) -> NDArray:
    parts = [x * x.dtype.type(1 << left) for (x, _), left in zip(inputs, node.left, strict=True)]
    return _scaled(node.requant, np.concatenate(parts, axis=-1))


def _multiplication(node: Multiplication, inputs: list[Stream]) -> NDArray:
    (a, _), (b, _) = inputs
    return _scaled(node.requant, a * b)


def _moved(node: Node, inputs: list[Stream]) -> NDArray:
    """Of stages that move values and compute none."""
    return node.golden(*inputs)


#: How each kind of stage computes without rounding.
_KINDS: Final[dict[type[Node], Callable[[Any, list[Stream]], NDArray]]] = {
    Add: _add,
    Concatenation: _concatenation,
    Contraction: _contraction,
    Multiplication: _multiplication,
    Permutation: _moved,
    Pool: _pool,
    Reshape: _moved,
    Slice: _moved,
    Table: _table,
}
