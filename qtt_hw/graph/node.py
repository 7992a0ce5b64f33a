"""A stage of the integer graph, whatever its kind: what it reads, what it makes, its golden function and its JSON.

Activations are integers with axes [D, H, W, C]; a 2D network has D = 1, a vector D = H = W = 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from qtt_hw.fixedpoint import Format
from qtt_hw.graph.record import Record, Tensors
from qtt_hw.window import Shape, check_size

__all__ = ["Edge", "Node"]


@dataclass(frozen=True)
class Edge:
    """What a stream carries: integers of one format, in raster order D, H, W and then channel.

    Raises
    ------
    ValueError
        When the shape is not four sizes of at least 1, or has more values or channels than `MOST_VALUES` and
        `MOST_CHANNELS`.
    """

    shape: Shape
    format: Format

    def __post_init__(self) -> None:
        if len(self.shape) != 4 or min(self.shape) < 1:
            raise ValueError(f"a stream's shape must be four sizes (D, H, W, C) of at least 1, got {list(self.shape)}")
        check_size(self.shape)

    @property
    def positions(self) -> int:
        """D * H * W."""
        return math.prod(self.shape[:3])

    @property
    def channels(self) -> int:
        """C."""
        return self.shape[3]


@dataclass(frozen=True)
class Node(ABC):
    """A stage of the graph: its name, the edges it reads, and the layer of the user's model that it came from."""

    #: Whether it only reads the same stream with other axes, so that nothing stands for it in hardware.
    relabels: ClassVar[bool] = False
    #: Streams that a stage of its kind reads; None where that is the stage's own.
    reads: ClassVar[int | None] = 1
    #: Whether what it puts out has a scale of its own.
    rescales: ClassVar[bool] = False
    #: What the kind is called in files.
    tags: ClassVar[tuple[str, ...]]

    name: str
    inputs: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        if self.reads is not None and len(self.inputs) != self.reads:
            raise ValueError(f"stage {self.name}: has {len(self.inputs)} inputs, a stage of its kind has {self.reads}")

    @abstractmethod
    def output(self, *inputs: Edge) -> Edge:
        """The edge that this node produces from its inputs; raises ValueError when they do not fit."""

    @abstractmethod
    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        """The stage's output integers [N, D, H, W, C] from the integers and the edge of each input.

        Of both, the type is any that holds the edge's format; between the stages of a run it is int32.
        """

    def macs(self, *inputs: Edge) -> int:
        """Multiplications of one inference with inputs that exist: padded taps are not counted."""
        return 0

    @property
    def stored_bits(self) -> int:
        """Of all that is stored, each at its own width: weights, and a requantiser's m, b and shift."""
        return 0

    @property
    def weight_bits(self) -> int:
        """Of a weight or its code; 0 where there are none."""
        return 0

    def narrowed(self, *inputs: Edge, weights: int, outputs: int) -> Node:
        """The stage on other inputs, with at most so many bits of each weight or its code and of what it puts out.

        Weights keep their leading bits, and outputs a step as much larger; for planning, not to be run.
        """
        return self

    @abstractmethod
    def record(self, tensors: Tensors) -> Record:
        """The node's JSON; its integers are added to `tensors` under its name."""
