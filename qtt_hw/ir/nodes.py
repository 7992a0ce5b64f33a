"""The stages of the integer graph: windowed contractions, pools, sums, permutations and reshapes with their formats.

Activations are integers with axes [D, H, W, C]; a 2D network has D = 1, a vector D = H = W = 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import (
    Format,
    IntArray,
    Requantizer,
    accumulator_range,
    average_requantizer,
)
from qtt_hw.ir.window import AxisWindow

__all__ = [
    "MOST_CHANNELS",
    "MOST_VALUES",
    "Add",
    "Contraction",
    "Edge",
    "Node",
    "Permutation",
    "Pool",
    "Reshape",
    "Shape",
    "Window",
    "as_integers",
]

#: Sizes of the axes [D, H, W, C].
Shape = tuple[int, int, int, int]

#: Most values of a stream, the padding of a window on it included, and most channels. A video network's largest stream
#: (C3D: 16 x 112 x 112 x 64) has a fifth of these values, a flattened map of QTTNet nearly as many channels.
MOST_VALUES: Final = 1 << 26
MOST_CHANNELS: Final = 1 << 22


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
        _check_size(self.shape)

    @property
    def positions(self) -> int:
        return math.prod(self.shape[:3])

    @property
    def channels(self) -> int:
        return self.shape[3]


def _check_size(shape: Shape) -> None:
    """Raise ValueError where a stream of that shape has too many values or channels."""
    if math.prod(shape) > MOST_VALUES:
        raise ValueError(f"{list(shape)} (D, H, W, C) are {math.prod(shape)} values, {MOST_VALUES} are the most")
    if shape[3] > MOST_CHANNELS:
        raise ValueError(f"{shape[3]} channels, {MOST_CHANNELS} are the most")


@dataclass(frozen=True)
class Window:
    """Kernel, stride and padding pair of the axes D, H, W."""

    kernel: tuple[int, int, int] = (1, 1, 1)
    stride: tuple[int, int, int] = (1, 1, 1)
    padding: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0), (0, 0))

    def axes(self, shape: Shape) -> tuple[AxisWindow, AxisWindow, AxisWindow]:
        """The three axis windows on an input of the given shape; raises ValueError naming the axis."""
        found = []
        for axis, name in enumerate("DHW"):
            before, after = self.padding[axis]
            try:
                found.append(AxisWindow(shape[axis], self.kernel[axis], self.stride[axis], before, after))
            except ValueError as error:
                raise ValueError(f"axis {name}: {error}") from None
        d, h, w = (size + sum(pair) for size, pair in zip(shape[:3], self.padding, strict=True))
        _check_size((d, h, w, shape[3]))
        return found[0], found[1], found[2]

    def out_positions(self, shape: Shape) -> tuple[int, int, int]:
        d, h, w = self.axes(shape)
        return d.out_size, h.out_size, w.out_size

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)


@dataclass(frozen=True)
class Node(ABC):
    """A stage of the graph: its name, the edges it reads, and the layer of the user's model that it came from."""

    #: Streams that a stage of its kind reads.
    reads: ClassVar[int] = 1

    name: str
    inputs: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        if len(self.inputs) != self.reads:
            raise ValueError(f"stage {self.name}: has {len(self.inputs)} inputs, a stage of its kind has {self.reads}")

    @abstractmethod
    def output(self, *inputs: Edge) -> Edge:
        """The edge that this node produces from its inputs; raises ValueError when they do not fit."""


@dataclass(frozen=True, eq=False)
class Contraction(Node):
    """A windowed contraction over the middle of the channel index, (lead, in, trail) with trail varying fastest.

    y[v, lead, out, trail] = requant(sum over taps, in of
    weight[out, taps, in] * x[v * stride + taps - before, lead, in, trail])

    Parameters
    ----------
    window : Window
    weight : int64 array, [out, kd, kh, kw, in]
    weight_format : Format or Codebook
        Narrow, or powers of two; its frac is the weights' own.
    requant : Requantizer
        Rows are output channels, all lead * out * trail of them.
    lead, trail : int
        Sizes of the channel modes that are carried along.
    """

    window: Window
    weight: IntArray
    weight_format: Format | Codebook
    requant: Requantizer
    lead: int = 1
    trail: int = 1

    # Not those of Node, which would call two of one name equal whatever their weights: caches keep nodes as keys.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def in_size(self) -> int:
        """Channel values summed over, per tap."""
        return int(self.weight.shape[4])

    @property
    def out_size(self) -> int:
        """Results per carried index."""
        return int(self.weight.shape[0])

    @property
    def carried(self) -> int:
        """Carried indices: the contraction is done once for each, with the same weights."""
        return self.lead * self.trail

    @property
    def in_channels(self) -> int:
        return self.carried * self.in_size

    @property
    def out_channels(self) -> int:
        return self.carried * self.out_size

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        if self.weight.ndim != 5 or self.weight.shape[1:4] != self.window.kernel or not self.weight.size:
            raise ValueError(f"weight of shape {list(self.weight.shape)} does not match kernel {self.window.kernel}")
        if self.weight.dtype.kind != "i":
            raise ValueError(f"weight holds {self.weight.dtype}, not signed integers")
        if min(self.lead, self.trail) < 1:
            raise ValueError(f"lead {self.lead} and trail {self.trail} must be at least 1")
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

    def macs(self, x: Edge) -> int:
        """Multiplications with inputs that exist: padded taps are not counted."""
        d, h, w = self.window.axes(x.shape)
        taps = math.prod(sum(axis.count(o) for o in range(axis.out_size)) for axis in (d, h, w))
        return taps * self.in_size * self.out_size * self.carried


@dataclass(frozen=True)
class Pool(Node):
    """Maximum, or mean rounded half up, over the valid taps of a window, channel by channel."""

    kind: Literal["max", "average"]
    window: Window

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in ("max", "average"):
            raise ValueError(f"stage {self.name}: a pool's kind is max or average, got {self.kind!r}")

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        return Edge((*self.window.out_positions(x.shape), x.channels), x.format)

    def tap_counts(self, x: Edge) -> tuple[int, ...]:
        """The distinct numbers of valid taps, descending: the rows of an average's requantiser."""
        d, h, w = ([a.count(o) for o in range(a.out_size)] for a in self.window.axes(x.shape))
        return tuple(sorted({i * j * k for i in set(d) for j in set(h) for k in set(w)}, reverse=True))

    def reciprocals(self, x: Edge) -> Requantizer:
        """The average's exact divisions as multiply and shift, one row per entry of `tap_counts`."""
        return average_requantizer(x.format, self.tap_counts(x))


@dataclass(frozen=True)
class Permutation(Node):
    """y[v, j] = x[v, order[j]]: a transposing buffer."""

    order: tuple[int, ...]

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        if sorted(self.order) != list(range(x.channels)):
            raise ValueError(f"its order is not a permutation of {x.channels} channels")
        return x


@dataclass(frozen=True)
class Reshape(Node):
    """The same stream read with other axes: no element moves."""

    shape: Shape

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        if math.prod(self.shape) != math.prod(x.shape):
            raise ValueError(f"cannot read {list(x.shape)} as {list(self.shape)}")
        return Edge(self.shape, x.format)


@dataclass(frozen=True)
class Add(Node):
    """y = requant((a << left[0]) + (b << left[1])): the sum of two streams at the finer one's scale, rounded once.

    Parameters
    ----------
    left : (int, int)
        Shifts that bring both inputs to the same frac, at least one of them 0.
    requant : Requantizer
        Without a multiplier; ReLU is an unsigned output's lower bound.
    """

    reads: ClassVar[int] = 2

    left: tuple[int, int]
    requant: Requantizer

    @staticmethod
    def aligned(name: str, inputs: tuple[str, str], source: str, a: Format, b: Format, out: Format) -> Add:
        """The sum of inputs of two formats, in a third."""
        frac = max(a.frac, b.frac)
        return Add(name, inputs, source, (frac - a.frac, frac - b.frac), Requantizer(out, frac - out.frac))

    def output(self, *inputs: Edge) -> Edge:
        a, b = inputs
        if a.shape != b.shape:
            raise ValueError(f"adds {list(b.shape)} to {list(a.shape)}")
        if a.format.frac + self.left[0] != b.format.frac + self.left[1] or min(self.left) != 0:
            raise ValueError(f"shifts {list(self.left)} do not bring its inputs to the finer one's scale")
        if self.requant.affine:
            raise ValueError("its requantiser has a multiplier")
        self.requant.check(*self.sums(a, b))
        return Edge(a.shape, self.requant.out)

    def sums(self, a: Edge, b: Edge) -> tuple[int, int]:
        """Range of the sum before requantisation."""
        ends = [(e.format.minimum << s, e.format.maximum << s) for e, s in zip((a, b), self.left, strict=True)]
        return ends[0][0] + ends[1][0], ends[0][1] + ends[1][1]


def as_integers(array: np.ndarray) -> IntArray:
    """A read-only int64 copy; raises ValueError where a value is no integer of 64 signed bits."""
    kind = array.dtype.kind
    with np.errstate(invalid="ignore"):
        copy = np.array(array if kind in "biuf" else 0, dtype=np.int64)
    # What an unsigned integer or a float cannot keep comes back as another value.
    if kind not in "biuf" or (kind in "uf" and not np.array_equal(copy, array)):
        raise ValueError(f"an array of {array.dtype} holds values that are not integers of 64 signed bits")
    copy.setflags(write=False)
    return copy
