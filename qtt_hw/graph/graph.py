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
    """How a raw sample of bytes [D, H, W, C] becomes the integers of a graph's input; `input_spec` makes it.

    Parameters
    ----------
    edge : Edge
        Shape (D', H', W', C') and integer format after preprocessing.
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

    Examples
    --------
    >>> import qtt_hw
    >>> spec = qtt_hw.load("models/voxtt-modelnet10.qtt").input
    >>> spec.sample_shape, spec.block, spec.edge.shape
    ((30, 30, 30, 1), 2, (15, 15, 15, 8))
    >>> spec == qtt_hw.input_spec((30, 30, 30, 1), block=2)
    True
    """

    edge: Edge
    sample_shape: Shape
    block: int = 1
    offset: int = 0
    gain: int = 1


@dataclass(frozen=True, eq=False)
class Graph:
    """A validated integer network: stages that compute integers [D, H, W, C] from those of earlier stages.

    `freeze` makes it of a prepared model and `load` of a file; `run` computes it.

    Parameters
    ----------
    name : str
    input : InputSpec
        How a raw sample becomes the first stage's input.
    nodes : tuple of Node
        The stages in topological order; the last one's output is the logits, [1, 1, 1, classes].
    labels : tuple of str
        Class names, by index.

    Raises
    ------
    ValueError
        Naming the first stage that does not fit what it reads, or that nothing reads; when there are no stages, or
        not as many labels as logits.

    Examples
    --------
    >>> import qtt_hw
    >>> graph = qtt_hw.load("models/lenet-mnist.qtt")
    >>> [node.name for node in graph.nodes]
    ['conv1', 'pool1', 'conv2', 'pool2', 'linear1', 'linear2']
    >>> graph.edges["conv1"].shape, graph.output.shape
    ((1, 24, 24, 20), (1, 1, 1, 10))
    >>> graph.macs(), graph.weight_bytes
    (2293000, 218734)
    >>> qtt_hw.Graph("empty", graph.input, ())
    Traceback (most recent call last):
        ...
    ValueError: the graph has no stages
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
        """Shape and format of what a node reads first."""
        return self.edges[node.inputs[0]]

    @property
    def output(self) -> Edge:
        """Shape and format of the logits."""
        return self.edges[self.nodes[-1].name]

    @property
    def weight_bits(self) -> int:
        """Of all that is stored, each at its own width: weights, and the m, b and shifts of requantisers."""
        return sum(node.stored_bits for node in self.nodes)

    @property
    def weight_bytes(self) -> int:
        """`weight_bits` packed without gaps, in bytes."""
        return -(-self.weight_bits // 8)

    def inputs_of(self, node: Node) -> tuple[Edge, ...]:
        """Shape and format of each of the streams that a node reads."""
        return tuple(self.edges[name] for name in node.inputs)

    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(node.macs(*self.inputs_of(node)) for node in self.nodes)
