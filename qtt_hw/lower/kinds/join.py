"""What stages share that make one stream of several: exact on integers, rounded once to a scale of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import Edge, Node
from qtt_hw.lower.sampling import calibrate_output, sample
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.quant import ActivationQuantizer
from qtt_hw.window import Shape

__all__ = ["JoinStage"]


class JoinStage(Stage):
    """One stream of several, rounded once; ReLU is an unsigned output's bound.

    Parameters
    ----------
    place : Place
        With several inputs.
    shapes : sequence of (D, H, W, C)
        Of these.
    out_shape : (D, H, W, C)
    output_quantizer : ActivationQuantizer
    """

    def __init__(
        self, place: Place, shapes: Sequence[Shape], out_shape: Shape, output_quantizer: ActivationQuantizer
    ) -> None:
        super().__init__(place, out_shape)
        self.shapes, self.output_quantizer = tuple(shapes), output_quantizer

    def out_format(self, *formats: Format) -> Format:
        return self.output_quantizer.format

    @abstractmethod
    def joined(self, *inputs: Tensor) -> Tensor:
        """The result before rounding, of float values."""

    @abstractmethod
    def exact(self, *streams: Stream) -> tuple[Tensor, int]:
        """The result before rounding, int64 [N, C, D, H, W], of the inputs' integers, and its fractional bits."""

    @abstractmethod
    def made(self, *formats: Format) -> Node:
        """The graph's node; it need not fit its inputs."""

    def node(self, *formats: Format) -> Node:
        with named(self.name):
            node = self.made(*formats)
            node.output(*(Edge(shape, fmt) for shape, fmt in zip(self.shapes, formats, strict=True)))
        return node

    def integers(self, *streams: Stream) -> Tensor:
        node = self.node(*(fmt for _, fmt in streams))
        requant: Requantizer = node.requant  # type: ignore[attr-defined]
        rounded: Tensor = requant(self.exact(*streams)[0])
        return rounded.to(torch.float32)

    def floats(self, *inputs: Tensor) -> Tensor:
        y = self.joined(*inputs)
        return y if self.output_quantizer.signed else y.relu()

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        y = self.joined(*(x for x, _ in streams))
        if not exact:
            return self.output_quantizer(y)
        with torch.no_grad():
            result = self.integers(*((x * 2.0**fmt.frac, fmt) for x, fmt in streams))
            result = result.mul_(2.0**-self.output_quantizer.frac)
        return self.output_quantizer(y, result)

    def calibrate(self, batches: Sequence[Sequence[Stream]], *, scales: bool, statistics: bool) -> list[Tensor]:
        if scales:
            results = [self.exact(*streams) for streams in batches]
            y = sample([result for result, _ in results]) * 2.0 ** -results[0][1]
            calibrate_output(self.name, self.output_quantizer, y)
            self.output_quantizer.observe(y, self.output_quantizer.format)
        return super().calibrate(batches, scales=scales, statistics=statistics)
