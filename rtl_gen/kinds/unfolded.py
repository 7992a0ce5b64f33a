"""Contractions whose lanes span kernel taps: the stream is unfolded along some axes, so that their taps are channels.

`unfold` axes, W first, then H, then D. Where windows along W lie side by side without padding, their words are so by
themselves: neighbouring positions are then one word, which the input may bring whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qtt_hw.graph import Contraction, Edge
from qtt_hw.window import Window
from rtl_gen.costs.streams import unfold
from rtl_gen.families import Resources
from rtl_gen.kinds.contraction import ContractionSpec
from rtl_gen.kinds.spec import Spec, Store
from rtl_gen.unfold import QUEUE, Unfold, UnfoldShape

__all__ = ["UnfoldedSpec", "reads_words_of", "unfolded"]

#: Axes of a window, the first to be unfolded first.
_W, _H, _D = 2, 1, 0


def _side_by_side(node: Contraction, x: Edge) -> bool:
    """Whether windows along W lie side by side, and cover it."""
    axis = node.window.axes(x.shape)[_W]
    return axis.kernel == axis.stride > 1 and axis.size == axis.out_size * axis.kernel and axis.before == 0


def reads_words_of(node: Contraction, x: Edge) -> int:
    """Values of a word that an unfolded contraction reads."""
    return x.channels * node.window.kernel[_W] if _side_by_side(node, x) else x.channels


@lru_cache(maxsize=1024)
def unfolded(node: Contraction, x: Edge, axes: int) -> tuple[Contraction, Edge]:
    """The contraction of a stream whose last axes' taps are channels, `in` fastest; and what it reads.

    Parameters
    ----------
    node : Contraction
        Without carried modes and groups.
    x : Edge
    axes : int
        1 for W, 2 for H and W, 3 for all.
    """
    kept = 3 - axes
    window, sizes = node.window, node.window.out_positions(x.shape)
    taps = window.kernel[kept:]
    rest = Window(
        *(
            (*of_axes[:kept], *[one] * axes)
            for of_axes, one in (
                (window.kernel, 1),
                (window.stride, 1),
                (window.padding, (0, 0)),
                (window.dilation, 1),
            )
        )
    )
    weight = node.weight.reshape(node.out_size, *rest.kernel, math.prod(taps) * node.in_size)
    d, h, w = (*x.shape[:kept], *sizes[kept:])
    return replace(node, window=rest, weight=weight), Edge((d, h, w, math.prod(taps) * x.channels), x.format)


class UnfoldedSpec(Spec):
    """A contraction behind unfolded axes; its lanes take all channels and taps of these.

    Attributes
    ----------
    inner : ContractionSpec
        What works on the unfolded stream.
    """

    node: Contraction
    weighs = True

    def check(self) -> None:
        node, folding = self.node, self.folding
        if not 1 <= folding.unfold <= 3:
            raise self.refuse(f"unfold is 1 (W), 2 (H, W) or 3 (D, H, W), not {folding.unfold}")
        if node.parts > 1:
            raise self.refuse("a contraction that carries modes, or of groups, is not unfolded")
        if max(node.window.dilation[3 - folding.unfold :]) > 1:
            raise self.refuse("an axis of dilated taps is not unfolded")
        whole = node.in_size * math.prod(node.window.kernel[3 - folding.unfold :])
        if folding.simd != whole:
            raise self.refuse(f"simd {folding.simd} is not the {whole} channels and taps of {folding.unfold} axes")
        made, edge = unfolded(node, self.inputs[0], folding.unfold)
        self.inner = ContractionSpec(made, (edge,), folding.model_copy(update={"unfold": 0}), self.family)
        self.products, self.multipliers, self.dsps = self.inner.products, self.inner.multipliers, self.inner.dsps
        self.rom_bits, self.coded = self.inner.rom_bits, self.inner.coded

    def deepest(self) -> dict[str, int]:
        return self.inner.deepest()

    @cached_property
    def steps(self) -> list[UnfoldShape]:
        """The units in front, in the order of the stream."""
        x, window, found = self.inputs[0], self.node.window, []
        axes, width, inner = window.axes(x.shape), x.channels * x.format.bits, 1
        for axis in (_W, _H, _D)[: self.folding.unfold]:
            given = axes[axis].kernel == axes[axis].stride == 1 and axes[axis].out_size == axes[axis].size
            if not given and (axis != _W or not _side_by_side(self.node, x)):
                found.append(UnfoldShape(axes[axis], inner, width, self.family))
            width *= axes[axis].kernel
            inner *= axes[axis].out_size
        return found

    # Words

    @property
    def gathers(self) -> bool:  # type: ignore[override]
        return not self.steps

    @cached_property
    def in_width(self) -> int:  # type: ignore[override]
        return reads_words_of(self.node, self.inputs[0])

    @property
    def in_words(self) -> int:
        return self.inputs[0].positions * self.inputs[0].channels // self.in_width

    # Time and cost

    @property
    def cycles(self) -> int:
        """Those of the slowest of its units."""
        words = self.in_words
        found = [self.inner.cycles]
        for shape in self.steps:
            lines = words // (shape.axis.size * shape.inner)
            found.append(lines * shape.steps * shape.inner)
            words = lines * shape.axis.out_size * shape.inner
        return max(found)

    @property
    def latency(self) -> int:
        return self.inner.latency

    @property
    def result_words(self) -> int:
        return self.inner.result_words

    def stores(self) -> tuple[Store, ...]:
        earlier = [Store("taps of a window", s.inner, s.history) for s in self.steps if s.read_latency]
        return *earlier, *self.inner.stores()

    def parts(self) -> dict[str, Resources]:
        if not self.steps:
            return self.inner.parts()
        front = {f"unfold_{number}": unfold(shape) for number, shape in enumerate(self.steps)}
        return {**front, **{f"stage.{path}": cost for path, cost in self.inner.parts().items()}}

    # Hardware

    def unit(self, in_lanes: int) -> wiring.Component:
        return UnfoldedUnit(self, in_lanes) if self.steps else self.inner.unit(in_lanes)

    def recurrence(self, units: Any, inputs: Sequence[int], output: int, in_lanes: int) -> None:
        flow = inputs[0]
        for shape in self.steps:
            behind = units.add_link(0)
            completes = np.array([shape.completes(index) for index in range(shape.steps)], dtype=np.int64)
            units.add_unfold(
                *(flow, behind, shape.axis.size, shape.inner, QUEUE, shape.latency, shape.steps), completes
            )
            flow = behind
        self.inner.recurrence(units, (flow,), output, self.folding.simd if self.steps else in_lanes)


class UnfoldedUnit(wiring.Component):
    """Unfolding units and the stage behind them as a stream component."""

    def __init__(self, spec: UnfoldedSpec, in_lanes: int):
        if in_lanes != spec.in_width:
            raise ValueError(f"stage {spec.node.name}: reads words of {spec.in_width} values, not of {in_lanes}")
        self.spec = spec
        x, out = spec.inputs[0].format.bits, spec.out.format.bits
        super().__init__(
            {
                "i0": In(stream.Signature(spec.in_width * x)),
                "o": Out(stream.Signature(spec.folding.lanes * out)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flow: Any = wiring.flipped(self.i0)
        for number, shape in enumerate(self.spec.steps):
            m.submodules[f"unfold_{number}"] = unit = Unfold(shape)
            wiring.connect(m, flow, unit.i)
            flow = unit.o
        m.submodules.stage = stage = self.spec.inner.unit(self.spec.folding.simd)
        wiring.connect(m, flow, stage.i0)  # type: ignore[attr-defined]
        wiring.connect(m, stage.o, wiring.flipped(self.o))  # type: ignore[attr-defined]
        return m
