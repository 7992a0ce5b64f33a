"""Activations that are looked up: a function of one value, tabulated in float64 for each value of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format, quantize
from qtt_hw.graph import Edge, Table
from qtt_hw.lower.draft import ScaledDraft, Setting
from qtt_hw.lower.lowering import Kind, Lowering, place
from qtt_hw.lower.sampling import calibrate_output, sample
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.lower.value import Value
from qtt_hw.quant import ActivationQuantizer
from qtt_hw.window import Shape

__all__ = ["TABLE", "TableDraft", "TableStage", "looked_up"]

#: A function of single values, in their dtype.
Function = Callable[[Tensor], Tensor]


class TableStage(Stage):
    """y = f(x), value by value: integers by a table of all values that x can have.

    Parameters
    ----------
    place : Place
    function : callable
        f, on a tensor of floats.
    output_quantizer : ActivationQuantizer
    """

    def __init__(self, place: Place, function: Function, output_quantizer: ActivationQuantizer) -> None:
        super().__init__(place, place.shape)
        self.function, self.output_quantizer = function, output_quantizer

    def out_format(self, *formats: Format) -> Format:
        return self.output_quantizer.format

    def entries(self, fmt: Format) -> Tensor:
        """f of each value of a format, quantised: int64 [2**bits], by the value's bits as an unsigned number."""
        patterns = torch.arange(1 << fmt.bits)
        values = torch.where(patterns > fmt.maximum, patterns - (1 << fmt.bits), patterns)
        y = self.function(values.to(torch.float64) * 2.0**-fmt.frac)
        entries: Tensor = quantize(y, self.output_quantizer.format).to(torch.int64)
        return entries

    def integers(self, *streams: Stream) -> Tensor:
        ((x, fmt),) = streams
        entries = self.entries(fmt).to(x.device, torch.float32)
        return entries[x.to(torch.int64) & (len(entries) - 1)]

    def floats(self, *inputs: Tensor) -> Tensor:
        y = self.function(inputs[0])
        return y if self.output_quantizer.signed else y.relu()

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        ((x, fmt),) = streams
        if not exact:
            return self.output_quantizer(self.function(x))
        with torch.no_grad():
            result = self.integers((x * 2.0**fmt.frac, fmt)).mul_(2.0**-self.output_quantizer.frac)
        return self.output_quantizer(self.function(x), result)

    def node(self, *formats: Format) -> Table:
        (fmt,) = formats
        entries = tuple(self.entries(fmt).tolist())
        return Table(self.name, self.inputs, self.source, entries, self.output_quantizer.format)

    def check(self, *formats: Format) -> None:
        with named(self.name):
            self.node(*formats).output(Edge(self.in_shape, *formats))

    def calibrate(self, batches: Sequence[Sequence[Stream]], *, scales: bool, statistics: bool) -> list[Tensor]:
        if scales:
            fmt = batches[0][0][1]
            y = self.function(sample([x for ((x, _),) in batches]) * 2.0**-fmt.frac)
            calibrate_output(self.name, self.output_quantizer, y)
            self.output_quantizer.observe(y, self.output_quantizer.format)
        return super().calibrate(batches, scales=scales, statistics=statistics)


@dataclass
class TableDraft(ScaledDraft):
    """A table in the making.

    Parameters
    ----------
    function : callable
    nonnegative : bool
        Whether it puts out nothing below 0.
    activation : str
        The function's name.
    """

    function: Function
    nonnegative: bool
    activation: str

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    @property
    def unfit_for_logits(self) -> str | None:
        return (
            f"ends with a {self.activation}, which is not supported; leave it out: the hardware puts out logits and "
            "their argmax"
        )

    def build(self, setting: Setting) -> TableStage:
        return TableStage(self.place, self.function, setting.output(not (self.relu or self.nonnegative)))

    def floats(self, *inputs: Tensor) -> Tensor:
        y = self.function(inputs[0])
        return y.relu() if self.relu else y


def looked_up(lowering: Lowering, x: Value, draft: TableDraft) -> Value:
    """The value of a table that reads x."""
    like = replace(x, norm_target=None, relu_target=draft, nonnegative=draft.nonnegative, forked=False)
    return lowering.append(draft, like)


def _leaky_relu(lowering: Lowering, name: str, layer: nn.LeakyReLU, x: Value) -> Value:
    slope = float(layer.negative_slope)

    def function(values: Tensor) -> Tensor:
        return F.leaky_relu(values, slope)

    return looked_up(lowering, x, TableDraft(place(name, name, x), function, slope <= 0.0, "LeakyReLU"))


def _relu6(lowering: Lowering, name: str, layer: nn.ReLU6, x: Value) -> Value:
    return looked_up(lowering, x, TableDraft(place(name, name, x), F.relu6, True, "ReLU6"))


def _sigmoid(lowering: Lowering, name: str, layer: nn.Sigmoid, x: Value) -> Value:
    return looked_up(lowering, x, TableDraft(place(name, name, x), torch.sigmoid, True, "Sigmoid"))


def _as_leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> nn.Module:
    return nn.LeakyReLU(negative_slope, inplace)


def _as_relu6(input: Any, inplace: bool = False) -> nn.Module:
    return nn.ReLU6(inplace)


def _as_sigmoid(input: Any) -> nn.Module:
    return nn.Sigmoid()


TABLE = Kind(
    {nn.LeakyReLU: _leaky_relu, nn.ReLU6: _relu6, nn.Sigmoid: _sigmoid},
    {
        F.leaky_relu: _as_leaky_relu,
        F.relu6: _as_relu6,
        **dict.fromkeys((torch.sigmoid, F.sigmoid, "sigmoid"), _as_sigmoid),
    },
)
