"""Windowed contractions: convolutions, grouped ones too, linear layers and the steps of tensor trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import (
    Format,
    IntArray,
    Requantizer,
    accumulator_range,
    as_integers,
)
from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.products import GroupedProduct, WindowedProduct
from qtt_hw.graph.record import (
    MOST_BYTES,
    CodebookRecord,
    FormatRecord,
    Record,
    Size,
    Small,
    Tensors,
    WindowRecord,
    take,
)
from qtt_hw.graph.requantize import FloatRequantizer, float_type
from qtt_hw.window import Window

__all__ = ["Contraction", "ContractionRecord"]


@dataclass(frozen=True, eq=False)
class Contraction(Node):
    """A windowed contraction over the middle of the channel index, (lead, in, trail) with trail varying fastest.

    y[v, lead, out, trail] = requant(sum over taps, in of
    weight[out, taps, in] * x[v * stride + taps * dilation - before, lead, in, trail])

    Or, where channels fall into groups, over each of these with weights of its own, (group, in):

    y[v, group, out] = requant(sum over taps, in of
    weight[group, out, taps, in] * x[v * stride + taps * dilation - before, group, in])

    Parameters
    ----------
    window : Window
    weight : int64 array, [groups * out, kd, kh, kw, in]
    weight_format : Format or Codebook
        Narrow, or powers of two; its frac is the weights' own.
    requant : Requantizer
        Rows are output channels, all lead * out * trail of them.
    lead, trail : int
        Sizes of the channel modes that are carried along.
    groups : int
        Channels in so many groups, as many as there are in a depthwise convolution; no modes are carried then.
    """

    rescales = True
    tags = ("contraction",)

    window: Window
    weight: IntArray
    weight_format: Format | Codebook
    requant: Requantizer
    lead: int = 1
    trail: int = 1
    groups: int = 1

    # Not those of Node, which would call two of one name equal whatever their weights: caches keep nodes as keys.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def in_size(self) -> int:
        """Channel values summed over, per tap."""
        return int(self.weight.shape[4])

    @property
    def out_size(self) -> int:
        """Results per carried index, or per group."""
        return int(self.weight.shape[0]) // self.groups

    @property
    def carried(self) -> int:
        """Carried indices: the contraction is done once for each, with the same weights."""
        return self.lead * self.trail

    @property
    def parts(self) -> int:
        """Contractions over channels of their own, per position: for each carried index, or each group."""
        return self.carried * self.groups

    @property
    def in_channels(self) -> int:
        return self.parts * self.in_size

    @property
    def out_channels(self) -> int:
        return self.parts * self.out_size

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        if self.weight.ndim != 5 or self.weight.shape[1:4] != self.window.kernel or not self.weight.size:
            raise ValueError(f"weight of shape {list(self.weight.shape)} does not match kernel {self.window.kernel}")
        if self.weight.dtype.kind != "i":
            raise ValueError(f"weight holds {self.weight.dtype}, not signed integers")
        if min(self.lead, self.trail) < 1:
            raise ValueError(f"lead {self.lead} and trail {self.trail} must be at least 1")
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise ValueError(f"{self.groups} groups do not divide {self.weight.shape[0]} outputs")
        if self.groups > 1 and self.carried > 1:
            raise ValueError(f"{self.groups} groups cannot carry modes, lead {self.lead} and trail {self.trail}")
        if x.channels != self.in_channels:
            raise ValueError(f"expects {self.in_channels} channels, its input has {x.channels}")
        fmt = self.weight_format
        if not fmt.contains(self.weight):
            kind = "not one of the powers of two from" if isinstance(fmt, Codebook) else "outside"
            raise ValueError(f"a weight is {kind} {fmt.minimum} to {fmt.maximum}")
        if self.requant.multiplier is not None and len(self.requant.multiplier) != self.out_channels:
            raise ValueError(f"{len(self.requant.multiplier)} requantiser rows for {self.out_channels} channels")
        self.requant.check(*self.accumulator(x))
        return Edge((*self.window.out_positions(x.shape), self.out_channels), self.requant.out)

    def accumulator(self, x: Edge) -> tuple[int, int]:
        """Range of every partial sum, from this stage's own weights."""
        return accumulator_range(self.weight, x.format)

    def macs(self, *inputs: Edge) -> int:
        (x,) = inputs
        d, h, w = self.window.axes(x.shape)
        taps = math.prod(sum(axis.count(o) for o in range(axis.out_size)) for axis in (d, h, w))
        return taps * self.in_size * self.out_size * self.parts

    @property
    def stored_bits(self) -> int:
        total = int(self.weight.size) * self.weight_format.bits + 8
        if self.requant.affine:
            total += self.out_channels * (16 + self.requant.offset_bits)
        return total

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        """Products are summed by matrix products, in a float type that holds every partial sum exactly."""
        ((x, edge),) = streams
        if edge not in self._prepared:
            self._prepared[edge] = self._on(edge)
        return self._prepared[edge](x)

    @cached_property
    def _prepared(self) -> dict[Edge, Callable[[NDArray], NDArray]]:
        """What computes it, by the edge that it reads."""
        return {}

    def _on(self, edge: Edge) -> Callable[[NDArray], NDArray]:
        low, high = self.accumulator(edge)
        weight = self.weight.astype(float_type(low, high) or np.float64)
        requant = FloatRequantizer(self.requant, low, high)
        if self.groups == 1:
            return WindowedProduct(weight, self.window, self.lead, self.trail, requant, edge)
        return GroupedProduct(weight, self.window, self.groups, requant, edge)

    @property
    def weight_bits(self) -> int:
        return self.weight_format.bits

    def narrowed(self, *inputs: Edge, weights: int, outputs: int) -> Contraction:
        fmt, requant = self.weight_format, self.requant.coarser(outputs)
        if fmt.bits <= weights:
            return replace(self, requant=requant)
        if isinstance(fmt, Codebook):
            book = Codebook.of_top(weights, fmt.zero, fmt.top)
            values = book.quantize(self.weight * 2.0**-fmt.frac)
            return replace(self, weight=as_integers(values), weight_format=book, requant=requant)
        lost = fmt.bits - weights
        weight = as_integers(np.sign(self.weight) * (np.abs(self.weight) >> lost))
        return replace(
            self,
            weight=weight,
            weight_format=Format(weights, True, fmt.frac - lost, narrow=fmt.narrow),
            requant=requant,
        )

    def record(self, tensors: Tensors) -> ContractionRecord:
        name, fmt, requant = self.name, self.weight_format, self.requant
        if isinstance(fmt, Codebook):
            tensors[f"{name}.weight"] = fmt.encode(self.weight).astype(np.uint8)
        else:
            tensors[f"{name}.weight"] = self.weight.astype(np.int8 if fmt.bits <= 8 else np.int16)
        if requant.affine:
            m = requant.multipliers
            fits = -(1 << 15) <= m.min() and m.max() < 1 << 15
            tensors[f"{name}.multiplier"] = m.astype(np.int16 if fits else np.int32)
            tensors[f"{name}.offset"] = requant.offsets.astype(np.int32 if requant.offset_bits <= 32 else np.int64)
        return ContractionRecord(
            name=name,
            inputs=self.inputs,
            source=self.source,
            window=WindowRecord.of(self.window),
            weight_format=CodebookRecord.of(fmt) if isinstance(fmt, Codebook) else FormatRecord.of(fmt),
            out_format=FormatRecord.of(requant.out),
            shift=requant.shift,
            affine=requant.affine,
            carried=(self.lead, self.trail) if self.carried > 1 else None,
            groups=self.groups if self.groups > 1 else None,
        )


class ContractionRecord(Record):
    """The JSON of a contraction; its integers are the tensors <name>.weight, and .multiplier and .offset if affine.

    With a codebook, <name>.weight holds codes. `carried` is (lead, trail), absent when both are 1; so is `groups`.
    """

    kind: Literal["contraction"] = "contraction"
    window: WindowRecord
    weight_format: FormatRecord | CodebookRecord
    out_format: FormatRecord
    shift: Small
    affine: bool
    carried: tuple[Size, Size] | None = None
    groups: Size | None = None

    def build(self, tensors: Tensors) -> Contraction:
        fmt = self.weight_format.build()
        weight = _weight(tensors, f"{self.name}.weight", fmt)
        m = b = None
        if self.affine:
            m = tuple(take(tensors, f"{self.name}.multiplier", ("int16", "int32")).tolist())
            b = tuple(take(tensors, f"{self.name}.offset", ("int32", "int64")).tolist())
        requant = Requantizer(self.out_format.build(), self.shift, m, b)
        window, carried = self.window.build(), self.carried or (1, 1)
        groups = self.groups or 1
        return Contraction(self.name, self.inputs, self.source, window, weight, fmt, requant, *carried, groups)


def _weight(tensors: Tensors, name: str, fmt: Format | Codebook) -> IntArray:
    """The integers of a contraction's weights; a codebook's are stored as codes."""
    types = ("uint8",) if isinstance(fmt, Codebook) else ("int8",) if fmt.bits <= 8 else ("int16",)
    stored = take(tensors, name, types, 5, MOST_BYTES)
    if not isinstance(fmt, Codebook):
        return stored
    if stored.size and stored.max() >= 1 << fmt.bits:
        raise ValueError(f"tensor {name} holds {stored.max()}, codes of {fmt.bits} bits are below {1 << fmt.bits}")
    return as_integers(fmt.decode(stored))
