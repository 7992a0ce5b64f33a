"""Models of one structure with other weights, as training on makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qtt_hw.graph import Contraction, Graph

__all__ = ["with_other_weights"]


def with_other_weights(graph: Graph, seed: int = 1, shift: int = 0) -> Graph:
    """The weights of each stage in another order, its m and b a little smaller, its shift by so much larger."""
    rng = np.random.default_rng(seed)
    nodes = []
    for node in graph.nodes:
        if isinstance(node, Contraction):
            weight = rng.permutation(node.weight.reshape(-1)).reshape(node.weight.shape)
            weight.setflags(write=False)
            requant = node.requant
            if requant.multiplier is not None and requant.offset is not None:
                m = tuple(round(value * rng.uniform(0.7, 1)) for value in requant.multiplier)
                b = tuple(round(value * rng.uniform(0.7, 1)) for value in requant.offset)
                requant = replace(requant, multiplier=m, offset=b, shift=requant.shift + shift)
            node = replace(node, weight=weight, requant=requant)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))
