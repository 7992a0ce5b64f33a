"""The stages of residual networks: the sum of two streams, and the shortcut that subsamples one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Add, Contraction, Edge
from qtt_hw.lower.stages import Stage, Stream
from qtt_hw.nn.subsample import subsample
from qtt_hw.quant import ActivationQuantizer
from qtt_hw.window import Shape, Window

__all__ = ["AddStage", "SubsampleStage"]


class AddStage(Stage):
    """The sum of two streams of one shape at the finer one's scale, rounded once; ReLU is an unsigned output's bound.

    Parameters
    ----------
    name : str
    inputs : (str, str)
    source : str
    shape : tuple of int
        Of both inputs and of the output.
    out_bits : int
    signed : bool
    fixed_output : bool
        A scale of 2**(1 - out_bits) instead of a learned one.
    """

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        source: str,
        shape: Shape,
        out_bits: int,
        signed: bool,
        fixed_output: bool = False,
    ) -> None:
        super().__init__(name, inputs, source, shape, shape)
        self.output_quantizer = ActivationQuantizer(out_bits, signed, fixed_output)

    def out_format(self, *formats: Format) -> Format:
        return self.output_quantizer.format

    def node(self, *formats: Format) -> Add:
        a, b = formats
        names = (self.inputs[0], self.inputs[1])
        with named(self.name):
            node = Add.aligned(self.name, names, self.source, a, b, self.output_quantizer.format)
            node.output(Edge(self.in_shape, a), Edge(self.in_shape, b))
        return node

    def sums(self, *streams: Stream) -> tuple[Tensor, int]:
        """The sums before rounding, int64 [N, C, D, H, W], of two inputs' integers, and their fractional bits."""
        frac = max(fmt.frac for _, fmt in streams)
        a, b = (x.to(torch.int64) << (frac - fmt.frac) for x, fmt in streams)
        return a + b, frac

    def integers(self, *streams: Stream) -> Tensor:
        requant = self.node(*(fmt for _, fmt in streams)).requant
        return requant(self.sums(*streams)[0]).to(torch.float32)

    def floats(self, *inputs: Tensor) -> Tensor:
        total = inputs[0] + inputs[1]
        return total if self.output_quantizer.signed else total.relu()

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        (a, _), (b, _) = streams
        if not exact:
            return self.output_quantizer(a + b)
        with torch.no_grad():
            result = self.integers(*((x * 2.0**fmt.frac, fmt) for x, fmt in streams))
            result = result.mul_(2.0**-self.output_quantizer.frac)
        return self.output_quantizer(a + b, result)


class SubsampleStage(Stage):
    """Every `stride`-th position between channels of zeros; in the graph a contraction whose kernel is an identity.

    Parameters
    ----------
    name : str
    inputs : (str,)
    source : str
    stride : (int, int, int)
    in_shape : tuple of int
    channels : int
        Of the output, at least the input's.
    before : int
        Channels of zeros in front of the input's.
    """

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        source: str,
        stride: tuple[int, int, int],
        in_shape: Shape,
        channels: int,
        before: int,
    ) -> None:
        self.window = Window(stride=stride)
        super().__init__(name, inputs, source, in_shape, (*self.window.out_positions(in_shape), channels))
        self.before = before

    def floats(self, *inputs: Tensor) -> Tensor:
        y = subsample(inputs[0], self.window.stride, self.before, self.out_shape[3])
        return y.contiguous(memory_format=torch.channels_last_3d)

    def integers(self, *streams: Stream) -> Tensor:
        return self.floats(streams[0][0])

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        return self.integers(*streams)

    def node(self, *formats: Format) -> Contraction:
        (fmt,) = formats
        weight = np.zeros((self.out_shape[3], 1, 1, 1, self.in_shape[3]), np.int64)
        taken = np.arange(self.in_shape[3])
        weight[taken + self.before, 0, 0, 0, taken] = 1
        identity = Format(2, True, 0, narrow=True)
        return Contraction(
            self.name, self.inputs, self.source, self.window, as_integers(weight), identity, Requantizer(fmt, 0)
        )
