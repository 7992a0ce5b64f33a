"""The golden integer model: runs a Graph on [N, D, H, W, C] integers exactly, in numpy, independently of torch.

Products are summed by a matrix product per tap, in float32 where the stage's own accumulator range lies below 2**24
and in float64 below 2**53: there every partial sum is an integer that the format holds, so no order of summation can
round. Requantisation is int64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import IntArray
from qtt_hw.ir.graph import INPUT, Graph
from qtt_hw.ir.nodes import Add, Contraction, Edge, Node, Permutation, Pool, Reshape

__all__ = ["run", "run_node"]

#: Values of the largest stream that are held at a time.
STREAM_VALUES = 1 << 24


def _taps(x: NDArray, node: Contraction | Pool, fill: int) -> Iterator[tuple[tuple[int, int, int], NDArray]]:
    """Each kernel index with the inputs that it reads, [N, D', H', W', C], padding filled."""
    window = node.window
    padded = np.pad(x, ((0, 0), *window.padding, (0, 0)), constant_values=fill)
    out = window.out_positions((x.shape[1], x.shape[2], x.shape[3], x.shape[4]))
    kd, kh, kw = (range(k) for k in window.kernel)
    for tap in product(kd, kh, kw):
        axes = tuple(slice(k, k + (n - 1) * s + 1, s) for k, n, s in zip(tap, out, window.stride, strict=True))
        yield tap, padded[(slice(None), *axes)]


def _contract(x: IntArray, node: Contraction, edge: Edge) -> IntArray:
    low, high = node.accumulator(edge)
    dtype = np.float32 if max(-low, high) < 1 << 24 else np.float64
    total: NDArray | None = None
    # The channels summed over come last, so that every tap is one matrix product.
    shape = x.shape
    modes = (*shape[:4], node.lead, node.in_size, node.trail)
    x = np.moveaxis(x.astype(dtype).reshape(modes), 5, 6).reshape(shape)
    for (kd, kh, kw), taken in _taps(x, node, 0):
        part = taken.reshape(-1, node.in_size) @ node.weight[:, kd, kh, kw].T.astype(dtype)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    positions = (shape[0], *node.window.out_positions(edge.shape))
    acc = np.moveaxis(total.reshape(*positions, node.lead, node.trail, node.out_size), 6, 5)
    return node.requant(acc.reshape(*positions, node.out_channels).astype(np.int64))


def _pool(x: IntArray, node: Pool, edge: Edge) -> IntArray:
    if node.kind == "max":
        best: IntArray | None = None
        for _, taken in _taps(x, node, edge.format.minimum):
            best = taken if best is None else np.maximum(best, taken)
        assert best is not None
        return best
    total = sum(taken for _, taken in _taps(x, node, 0))
    d, h, w = (np.array([a.count(o) for o in range(a.out_size)]) for a in node.window.axes(edge.shape))
    count = (d[:, None, None] * h[:, None] * w)[..., None]
    return np.asarray((2 * total + count) // (2 * count))


def _add(node: Add, a: IntArray, b: IntArray) -> IntArray:
    return np.asarray(node.requant((a << node.left[0]) + (b << node.left[1])))


def run_node(node: Node, *inputs: tuple[IntArray, Edge]) -> IntArray:
    """One stage: int64 [N, D, H, W, C] with its edge for each of its inputs, int64 out."""
    (x, edge), *others = inputs
    match node:
        case Add():
            return _add(node, x, others[0][0])
        case Contraction():
            return _contract(x, node, edge)
        case Pool():
            return _pool(x, node, edge)
        case Permutation():
            return x[..., list(node.order)]
        case Reshape():
            return x.reshape(x.shape[0], *node.shape)
    raise TypeError(f"stage {node.name}: the golden model does not know {type(node).__name__}")


def run(
    graph: Graph,
    x: NDArray,
    *,
    intermediates: bool = False,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, IntArray]:
    """Every requested edge of the graph on a batch of preprocessed inputs.

    Parameters
    ----------
    graph : Graph
    x : integer array, [N, D, H, W, C]
        In the input edge's format.
    intermediates : bool
        Keep every stage's output; otherwise only the last one's.
    batch : int, optional
        Samples taken through the network together; as many as keep its largest stream at about 2**24 values.
    progress : callable, optional
        Called with the number of samples done after each batch.

    Returns
    -------
    dict of str to int64 array, [N, D, H, W, C]
        By stage name.

    Raises
    ------
    ValueError
        When shape or values do not fit the input edge.
    """
    edge = graph.input.edge
    if x.ndim != 5 or tuple(x.shape[1:]) != edge.shape:
        raise ValueError(f"input of shape {list(x.shape[1:])} given, {graph.name} takes {list(edge.shape)}")
    if not np.issubdtype(x.dtype, np.integer):
        raise ValueError(f"input of dtype {x.dtype} given, {graph.name} takes integers")
    if not edge.format.contains(x):
        raise ValueError(f"an input value is outside {edge.format.minimum} to {edge.format.maximum}")
    wanted = [node.name for node in graph.nodes] if intermediates else [graph.nodes[-1].name]
    pieces: dict[str, list[IntArray]] = {name: [] for name in wanted}
    if batch is None:
        batch = max(1, min(32, STREAM_VALUES // max(math.prod(edge.shape) for edge in graph.edges.values())))
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    for start in range(0, len(x), batch):
        values = {INPUT: x[start : start + batch].astype(np.int64)}
        for node in graph.nodes:
            values[node.name] = run_node(node, *((values[name], graph.edges[name]) for name in node.inputs))
            for name in set(node.inputs):
                if last[name] == node.name:  # nothing reads it any more
                    values.pop(name)
            if node.name in pieces:
                pieces[node.name].append(values[node.name])
        if progress is not None:
            progress(min(start + batch, len(x)))
    return {name: np.concatenate(parts) if parts else np.empty((0,), np.int64) for name, parts in pieces.items()}
