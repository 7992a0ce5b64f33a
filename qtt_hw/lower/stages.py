"""What a stage of a prepared model is, one module a node of the Graph; and the stages without scales of their own.

The others stand in `qtt_hw.lower.contraction` and `qtt_hw.lower.residual`.

Each has two sides that agree once statistics are frozen: `values` on float values, with gradients, for training, and
`integers` on the integers themselves (held in float32, at most 16 bits), for evaluation. Activations are
[N, C, D, H, W] in channels-last memory; a stage learns the formats of its inputs at every call, since scales move.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge, Node, Permutation, Pool, Reshape
from qtt_hw.lower.integer import holding_dtype
from qtt_hw.nn.pool import pool_max, pool_sum
from qtt_hw.quant.fake import StraightThrough
from qtt_hw.window import Shape, Window

__all__ = ["PermutationStage", "PoolStage", "ReshapeStage", "Stage", "Stream"]

#: What a stage reads: values or integers [N, C, D, H, W], and their format.
Stream = tuple[Tensor, Format]


class Stage(nn.Module, ABC):
    """A node of the graph: its name, the stages it reads, the layer it came from, and its shapes (D, H, W, C)."""

    def __init__(self, name: str, inputs: tuple[str, ...], source: str, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.name, self.inputs, self.source = name, inputs, source
        self.in_shape, self.out_shape = in_shape, out_shape

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

    def extra_repr(self) -> str:
        return f"{self.name}: {list(self.in_shape)} -> {list(self.out_shape)}"


class PoolStage(Stage):
    """Maximum, or mean rounded half up, over the valid taps of a window."""

    count: Tensor

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        source: str,
        kind: Literal["max", "average"],
        window: Window,
        in_shape: Shape,
    ) -> None:
        super().__init__(name, inputs, source, in_shape, (*window.out_positions(in_shape), in_shape[3]))
        self.kind, self.window = kind, window
        d, h, w = (torch.tensor([a.count(o) for o in range(a.out_size)]) for a in window.axes(in_shape))
        self.register_buffer("count", d[:, None, None] * h[:, None] * w, persistent=False)

    def integers(self, *streams: Stream) -> Tensor:
        ((x, fmt),) = streams
        if self.kind == "max":
            return pool_max(x, self.window)
        total = pool_sum(x.to(holding_dtype(self.window.taps << fmt.bits, x.device)), self.window)
        mean = torch.div(2 * total.to(torch.int64) + self.count, 2 * self.count, rounding_mode="floor")
        return mean.to(torch.float32)

    def floats(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        return pool_max(x, self.window) if self.kind == "max" else pool_sum(x, self.window) / self.count

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        ((x, fmt),) = streams
        mean = self.floats(x)
        if self.kind == "max":
            return mean
        with torch.no_grad():
            result = self.integers((x * 2.0**fmt.frac, fmt)).mul_(2.0**-fmt.frac)
        return StraightThrough.apply(mean, result)

    def node(self, *formats: Format) -> Pool:
        return Pool(self.name, self.inputs, self.source, self.kind, self.window)

    def check(self, fmt: Format) -> None:
        """Raise ValueError when an average has no exact reciprocal in this format."""
        if self.kind == "average":
            self.node(fmt).reciprocals(Edge(self.in_shape, fmt))


class PermutationStage(Stage):
    """y[v, j] = x[v, order[j]]."""

    order: Tensor

    def __init__(
        self, name: str, inputs: tuple[str, ...], source: str, order: tuple[int, ...], in_shape: Shape
    ) -> None:
        super().__init__(name, inputs, source, in_shape, in_shape)
        self.register_buffer("order", torch.tensor(order, dtype=torch.int64), persistent=False)

    def floats(self, *inputs: Tensor) -> Tensor:
        return inputs[0].index_select(1, self.order)

    def integers(self, *streams: Stream) -> Tensor:
        return self.floats(streams[0][0])

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        return self.integers(*streams)

    def node(self, *formats: Format) -> Permutation:
        return Permutation(self.name, self.inputs, self.source, tuple(self.order.tolist()))


class ReshapeStage(Stage):
    """The stream D, H, W, C read with other axes."""

    def floats(self, *inputs: Tensor) -> Tensor:
        return inputs[0].permute(0, 2, 3, 4, 1).reshape(-1, *self.out_shape).permute(0, 4, 1, 2, 3)

    def integers(self, *streams: Stream) -> Tensor:
        return self.floats(streams[0][0])

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        return self.integers(*streams)

    def node(self, *formats: Format) -> Reshape:
        return Reshape(self.name, self.inputs, self.source, self.out_shape)
