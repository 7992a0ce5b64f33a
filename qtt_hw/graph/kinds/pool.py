"""Pools: the maximum, or the mean rounded half up, over the valid taps of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import Requantizer, average_requantizer
from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.record import Record, Tensors, WindowRecord
from qtt_hw.graph.requantize import integer_type
from qtt_hw.graph.taps import taps
from qtt_hw.window import Window

__all__ = ["Pool", "PoolRecord"]


@dataclass(frozen=True)
class Pool(Node):
    """Maximum, or mean rounded half up, over the valid taps of a window, channel by channel.

    Parameters
    ----------
    kind : "max" or "average"
    window : Window
    counts_padding : bool
        A mean is over all taps: those in padding are zeros.
    """

    tags = ("max", "average")

    kind: Literal["max", "average"]
    window: Window
    counts_padding: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.counts_padding and self.kind != "average":
            raise ValueError(f"stage {self.name}: padding is counted in a mean, not in a maximum")
        if self.kind not in ("max", "average"):
            raise ValueError(f"stage {self.name}: a pool's kind is max or average, got {self.kind!r}")

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        return Edge((*self.window.out_positions(x.shape), x.channels), x.format)

    def tap_counts(self, x: Edge) -> tuple[int, ...]:
        """The distinct divisors of a mean, descending: the rows of an average's requantiser."""
        if self.counts_padding:
            return (self.window.taps,)
        d, h, w = ([a.count(o) for o in range(a.out_size)] for a in self.window.axes(x.shape))
        return tuple(sorted({i * j * k for i in set(d) for j in set(h) for k in set(w)}, reverse=True))

    def reciprocals(self, x: Edge) -> Requantizer:
        """The average's exact divisions as multiply and shift, one row per entry of `tap_counts`."""
        return average_requantizer(x.format, self.tap_counts(x))

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        ((x, edge),) = streams
        if self.kind == "max":
            best: NDArray | None = None
            for _, taken in taps(x, self.window, edge.format.minimum):
                best = taken.copy() if best is None else np.maximum(best, taken, out=best)
            assert best is not None
            return best
        if self.counts_padding:
            count = np.array(self.window.taps)
        else:
            d, h, w = (np.array([a.count(o) for o in range(a.out_size)]) for a in self.window.axes(edge.shape))
            count = (d[:, None, None] * h[:, None] * w)[..., None]
        most, fmt = self.window.taps, edge.format
        kind = integer_type(2 * fmt.minimum * most, (2 * fmt.maximum + 1) * most)
        total = np.zeros((len(x), *self.window.out_positions(edge.shape), edge.channels), kind)
        for _, taken in taps(x, self.window, 0):
            total += taken
        total *= 2
        total += count.astype(kind)
        return np.floor_divide(total, (2 * count).astype(kind), out=total)

    def record(self, tensors: Tensors) -> PoolRecord:
        window = WindowRecord.of(self.window)
        return PoolRecord(
            name=self.name,
            inputs=self.inputs,
            source=self.source,
            kind=self.kind,
            window=window,
            counts_padding=True if self.counts_padding else None,
        )


class PoolRecord(Record):
    """The JSON of a pool, which has no tensors; `counts_padding` is absent where it does not."""

    kind: Literal["max", "average"]
    window: WindowRecord
    counts_padding: bool | None = None

    def build(self, tensors: Tensors) -> Pool:
        window, counts = self.window.build(), bool(self.counts_padding)
        return Pool(self.name, self.inputs, self.source, self.kind, window, counts)
