"""What a stage of a prepared model is, whatever its kind: one module a node of the Graph.

It has two sides that agree once statistics are frozen: `values` on float values, with gradients, for training, and
`integers` on the integers themselves (held in float32, at most 16 bits), for evaluation. Activations are
[N, C, D, H, W] in channels-last memory; a stage learns the formats of its inputs at every call, since scales move.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Node
from qtt_hw.window import Shape

__all__ = ["Place", "Stage", "Stream"]

#: What a stage reads: values or integers [N, C, D, H, W], and their format.
Stream = tuple[Tensor, Format]


@dataclass(frozen=True)
class Place:
    """Where a stage stands in the network.

    Parameters
    ----------
    name : str
    inputs : tuple of str
        The stages that it reads, or the network's input.
    source : str
        The layer of the user's model that it came from.
    shape : tuple of int
        (D, H, W, C) of the first input.
    """

    name: str
    inputs: tuple[str, ...]
    source: str
    shape: Shape


class Stage(nn.Module, ABC):
    """A node of the graph: its place, and its shapes (D, H, W, C)."""

    def __init__(self, place: Place, out_shape: Shape) -> None:
        super().__init__()
        self.name, self.inputs, self.source, self.in_shape = place.name, place.inputs, place.source, place.shape
        self.out_shape = out_shape

    def out_format(self, *formats: Format) -> Format:
        """Format of the output for inputs of the given formats."""
        return formats[0]

    @abstractmethod
    def values(self, *streams: Stream, exact: bool) -> Tensor:
        """Output values from the inputs' values, with gradients; the integers' own values if `exact`."""

    @abstractmethod
    def floats(self, *inputs: Tensor) -> Tensor:
        """Output values from the inputs' where nothing is quantised but weights, with gradients."""

    @abstractmethod
    def integers(self, *streams: Stream) -> Tensor:
        """Output integers from the inputs' integers; float32 in and out, exact."""

    @abstractmethod
    def node(self, *formats: Format) -> Node:
        """The graph's node, for inputs of the given formats."""

    def check(self, *formats: Format) -> None:
        """Raise ValueError when inputs of the given formats cannot be computed on exactly."""

    def calibrate(self, batches: Sequence[Sequence[Stream]], *, scales: bool, statistics: bool) -> list[Tensor]:
        """Set what scales and statistics the stage has from its inputs' integers; returns its output's, batch by batch.

        Parameters
        ----------
        batches : sequence of (Stream, ...)
            Of each batch, the inputs.
        scales : bool
            Set the scales of weights and outputs.
        statistics : bool
            Set the statistics of batch norm; otherwise only where there are none yet.
        """
        return [self.integers(*streams) for streams in batches]

    def extra_repr(self) -> str:
        return f"{self.name}: {list(self.in_shape)} -> {list(self.out_shape)}"
