"""The golden integer model: runs a Graph on [N, D, H, W, C] integers exactly, in numpy, independently of torch.

Products are summed by matrix products, in float32 where the stage's own accumulator range lies within 2**24 and in
float64 within 2**53: there every partial sum is an integer that the format holds, so no order of summation can round.
Requantisation is in the float type that holds all its integers, or int64. Between stages streams are int32.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import IntArray
from qtt_hw.graph.graph import INPUT, Graph
from qtt_hw.progress import Progress, silent

__all__ = ["run"]

#: Values of the largest stream that are taken through the network at a time: few enough to stay in a cache.
STREAM_VALUES = 1 << 19


def run(
    graph: Graph,
    x: NDArray,
    *,
    intermediates: bool = False,
    batch: int | None = None,
    progress: Progress = silent,
) -> dict[str, IntArray]:
    """The golden model: the integers int64 [N, D, H, W, C] that a graph's stages compute of preprocessed inputs.

    Logits are integers too: their values are integers * 2**-graph.output.format.frac.

    Parameters
    ----------
    graph : Graph
    x : integer array, [N, D, H, W, C]
        In the input edge's format, as `preprocess` makes them.
    intermediates : bool
        Keep every stage's output; otherwise only the last one's.
    batch : int, optional
        Samples taken through the network together; as many as keep its largest stream at about 2**19 values.
    progress : Progress
        Told after each batch how many samples are done.

    Returns
    -------
    dict of str to int64 array, [N, D, H, W, C]
        By stage name.

    Raises
    ------
    ValueError
        When shape or values do not fit the input edge.

    Examples
    --------
    >>> import numpy as np
    >>> import qtt_hw
    >>> graph = qtt_hw.load("models/lenet-mnist.qtt")
    >>> images = np.zeros((2, 1, 28, 28, 1), dtype=np.uint8)
    >>> stages = qtt_hw.run(graph, qtt_hw.preprocess(graph.input, images), intermediates=True)
    >>> stages["conv1"].shape, stages["linear2"].shape, stages["linear2"].dtype
    ((2, 1, 24, 24, 20), (2, 1, 1, 1, 10), dtype('int64'))
    >>> qtt_hw.run(graph, images / 2)
    Traceback (most recent call last):
        ...
    ValueError: input of dtype float64 given, lenet-4-a8 takes integers
    """
    edge = graph.input.edge
    if x.ndim != 5 or tuple(x.shape[1:]) != edge.shape:
        raise ValueError(f"input of shape {list(x.shape[1:])} given, {graph.name} takes {list(edge.shape)}")
    if not np.issubdtype(x.dtype, np.integer):
        raise ValueError(f"input of dtype {x.dtype} given, {graph.name} takes integers")
    if not edge.format.contains(x):
        raise ValueError(f"an input value is outside {edge.format.minimum} to {edge.format.maximum}")
    wanted = [node.name for node in graph.nodes] if intermediates else [graph.nodes[-1].name]
    pieces: dict[str, list[NDArray]] = {name: [] for name in wanted}
    if batch is None:
        batch = max(1, min(32, STREAM_VALUES // max(math.prod(edge.shape) for edge in graph.edges.values())))
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    for start in range(0, len(x), batch):
        values: dict[str, NDArray] = {INPUT: x[start : start + batch].astype(np.int32)}
        for node in graph.nodes:
            values[node.name] = node.golden(*((values[name], graph.edges[name]) for name in node.inputs))
            for name in set(node.inputs):
                if last[name] == node.name:  # nothing reads it any more
                    values.pop(name)
            if node.name in pieces:
                pieces[node.name].append(values[node.name])
        progress("golden model", min(start + batch, len(x)), len(x))
    return {
        name: np.concatenate(parts, dtype=np.int64) if parts else np.empty((0,), np.int64)
        for name, parts in pieces.items()
    }
