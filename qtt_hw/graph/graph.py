"""The integer graph: an input and the stages behind it.

Every later piece walks this one list of stages: the golden model, the planner, the RTL generator and the proofs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from qtt_hw.graph.node import Edge, Node
from qtt_hw.window import Shape

__all__ = ["INPUT", "Graph", "InputSpec"]

#: Name of the edge that carries the network's input.
INPUT = "input"


@dataclass(frozen=True)
class InputSpec:
    """How a sample becomes the input edge.

    Parameters
    ----------
    edge : Edge
        Shape and format after preprocessing.
    sample_shape : tuple of int, (D, H, W, C)
        Shape of a raw sample of unsigned bytes.
    block : int
        Space to depth: each block**3 voxels become channels, (bd, bh, bw, c) with bd most significant. A raw shape
        that the block does not divide is padded with zeros at the end of the axis. On a single-plane sample
        (D = 1) blocks are block x block.
    offset : int
        Subtracted from every raw value: 128 for images, 0 for voxels.
    gain : int
        That raw values are multiplied by beforehand: 2, with offset 1, makes voxels {-1, +1}.
    """

    edge: Edge
    sample_shape: Shape
    block: int = 1
    offset: int = 0
    gain: int = 1


@dataclass(frozen=True, eq=False)
class Graph:
    """A validated integer network.

    Parameters
    ----------
    name : str
    input : InputSpec
    nodes : tuple of Node
        In topological order; the last one's output is the logits, [1, 1, 1, classes].
    labels : tuple of str
        Class names, by index.
    """

    name: str
    input: InputSpec
    nodes: tuple[Node, ...]
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("the graph has no stages")
        _ = self.edges  # walks every stage's own checks
        if self.labels and len(self.labels) != math.prod(self.output.shape):
            raise ValueError(f"{len(self.labels)} labels for {math.prod(self.output.shape)} logits")

    @cached_property
    def edges(self) -> dict[str, Edge]:
        """Edge by the name of the node that produces it; raises ValueError naming the first node that does not fit."""
        edges = {INPUT: self.input.edge}
        for node in self.nodes:
            if node.name in edges:
                raise ValueError(f"stage {node.name}: the name is used twice")
            for name in node.inputs:
                if name not in edges:
                    raise ValueError(f"stage {node.name}: reads {name!r}, which no earlier stage produces")
            try:
                edges[node.name] = node.output(*(edges[name] for name in node.inputs))
            except ValueError as error:
                raise ValueError(f"stage {node.name}: {error}") from None
        unread = set(edges) - {name for node in self.nodes for name in node.inputs} - {self.nodes[-1].name}
        if unread:
            raise ValueError(f"stage {min(unread)}: nothing reads it")
        return edges

    def input_of(self, node: Node) -> Edge:
        return self.edges[node.inputs[0]]

    @property
    def output(self) -> Edge:
        return self.edges[self.nodes[-1].name]

    @property
    def weight_bits(self) -> int:
        """All that is stored, at its own width: weights, m, b, shifts."""
        return sum(node.stored_bits for node in self.nodes)

    @property
    def weight_bytes(self) -> int:
        return -(-self.weight_bits // 8)

    def inputs_of(self, node: Node) -> tuple[Edge, ...]:
        """What a node reads."""
        return tuple(self.edges[name] for name in node.inputs)

    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(node.macs(*self.inputs_of(node)) for node in self.nodes)
