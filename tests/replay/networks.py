"""Small networks that together have every kind of stage, in every form that its hardware takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, IntArray, Requantizer
from qtt_hw.graph import (
    INPUT,
    Add,
    Concatenation,
    Contraction,
    Edge,
    Graph,
    InputSpec,
    Multiplication,
    Node,
    Permutation,
    Pool,
    Reshape,
    Slice,
    Table,
)
from qtt_hw.window import Window

__all__ = ["NETWORKS"]

BITS = Format(1, False, 0)
BYTES = Format(8, False, 4)
SIGNED = Format(8, True, 4)
NIBBLES = Format(4, False, 2)
LOGITS = Format(16, True, 0)
Padding = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
SAME: Padding = ((1, 1), (1, 1), (1, 1))


class _Net:
    """A network in the making; every stage reads the one before unless it is told what."""

    def __init__(self, shape: tuple[int, int, int, int], fmt: Format = BYTES) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[Node] = []
        self.edges = {INPUT: Edge(shape, fmt)}
        self.last = INPUT

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        self.edges[node.name] = node.output(*(self.edges[name] for name in node.inputs))
        self.last = node.name
        return node.name

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    def contract(
        self,
        made: int,
        window: Window = Window(),  # noqa: B008 - immutable
        *,
        weights: Format | Codebook = Format(4, True, 2, narrow=True),  # noqa: B008 - immutable
        out: Format = BYTES,
        affine: Literal["none", "shift", "full"] = "full",
        lead: int = 1,
        trail: int = 1,
        groups: int = 1,
        source: str | None = None,
    ) -> str:
        """A contraction of random weights; its requantiser only shifts, adds a bias, or multiplies as well."""
        source = self.last if source is None else source
        taken, channels = self.edges[source].channels // (lead * trail), lead * made * trail
        weight = self._weights(weights, (made, *window.kernel, taken // groups))
        m = b = None
        if affine != "none":
            b = tuple(int(v) for v in self.rng.integers(-9000, 30000, channels))
            m = (256,) * channels if affine == "shift" else tuple(int(v) for v in self.rng.integers(200, 900, channels))
        requant = Requantizer(out, 3 if m is None else 11, m, b)
        name = self.name("stage")
        return self.add(Contraction(name, (source,), name, window, weight, weights, requant, lead, trail, groups))

    def _weights(self, fmt: Format | Codebook, shape: tuple[int, ...]) -> IntArray:
        if isinstance(fmt, Format):
            return self.rng.integers(fmt.minimum, fmt.maximum + 1, shape)
        powers = [sign << e for e in range(fmt.magnitudes) for sign in (1, -1)] + [0] * fmt.zero
        return self.rng.choice(powers, shape)

    def pool(self, kind: Literal["max", "average"], window: Window) -> str:
        name = self.name("pool")
        return self.add(Pool(name, (self.last,), name, kind, window))

    def permute(self) -> str:
        name, order = self.name("swap"), self.rng.permutation(self.edges[self.last].channels)
        return self.add(Permutation(name, (self.last,), name, tuple(int(v) for v in order)))

    def add_streams(self, a: str, b: str, out: Format = BYTES) -> str:
        name = self.name("sum")
        return self.add(Add.aligned(name, (a, b), name, self.edges[a].format, self.edges[b].format, out))

    def multiply(self, a: str, b: str, out: Format = SIGNED) -> str:
        name = self.name("product")
        return self.add(Multiplication.of(name, (a, b), name, self.edges[a].format, self.edges[b].format, out))

    def concatenate(self, *streams: str, out: Format = BYTES) -> str:
        name, formats = self.name("joined"), [self.edges[stream].format for stream in streams]
        return self.add(Concatenation.aligned(name, streams, name, formats, out))

    def slice(self, source: str, first: int, count: int) -> str:
        name = self.name("part")
        return self.add(Slice(name, (source,), name, first, count))

    def table(self, out: Format) -> str:
        name, bits = self.name("table"), self.edges[self.last].format.bits
        entries = tuple(int(v) for v in self.rng.integers(out.minimum, out.maximum + 1, 1 << bits))
        return self.add(Table(name, (self.last,), name, entries, out))

    def flatten(self) -> str:
        name, edge = self.name("flat"), self.edges[self.last]
        return self.add(Reshape(name, (self.last,), name, (1, 1, 1, edge.positions * edge.channels)))

    def head(self, classes: int = 3) -> Graph:
        """The graph, after a last contraction over the whole map."""
        edge = self.edges[self.last]
        weights = Format(4, True, 2, narrow=True)
        weight = self._weights(weights, (classes, *edge.shape[:3], edge.channels))
        node = Contraction(
            "head", (self.last,), "head", Window(edge.shape[:3]), weight, weights, Requantizer(LOGITS, 2)
        )
        self.add(node)
        first = self.edges[INPUT]
        return Graph("net", InputSpec(first, first.shape), tuple(self.nodes))


def _contractions(
    shape: tuple[int, int, int, int], window: Window, fmt: Format = BYTES, made: int = 6, **how: object
) -> Callable[[], Graph]:
    def make() -> Graph:
        net = _Net(shape, fmt)
        net.contract(made, window, **how)  # type: ignore[arg-type]
        return net.head()

    return make


def _pool(shape: tuple[int, int, int, int], kind: Literal["max", "average"], window: Window) -> Callable[[], Graph]:
    def make() -> Graph:
        net = _Net(shape, SIGNED if kind == "max" else BYTES)
        net.pool(kind, window)
        return net.head()

    return make


def _tensor_train() -> Graph:
    """Stages along each axis between two pointwise ones."""
    net = _Net((4, 5, 6, 8), BITS)
    net.contract(6, out=SIGNED, affine="none")
    for axis in range(3):
        kernel, padding = [1, 1, 1], [(0, 0)] * 3
        kernel[axis], padding[axis] = 3, (1, 1)
        window = Window((kernel[0], kernel[1], kernel[2]), padding=(padding[0], padding[1], padding[2]))
        net.contract(4, window, out=SIGNED, affine="none")
    net.contract(8)
    return net.head(5)


def _carried(forward: bool) -> Callable[[], Graph]:
    """A chain that carries modes along, those behind its own or those before."""

    def make() -> Graph:
        net = _Net((2, 3, 2, 24), NIBBLES)
        for made, other in ((3, 8), (4, 3), (2, 4)):
            lead, trail = (1, other) if forward else (other, 1)
            net.contract(made, lead=lead, trail=trail, out=SIGNED, affine="none")
        return net.head()

    return make


def _carried_window() -> Graph:
    net = _Net((2, 3, 4, 12), NIBBLES)
    net.contract(2, Window((2, 3, 2), (1, 1, 2), ((0, 1), (1, 1), (0, 0))), lead=2, trail=2)
    return net.head()


def _linear() -> Graph:
    """Vectors: a permuted flatten and two linear layers."""
    net = _Net((2, 2, 2, 4))
    net.contract(4, Window((2, 1, 1)))
    net.flatten()
    net.permute()
    net.contract(12)
    net.contract(10, affine="shift")
    return net.head(10)


def _permuted() -> Graph:
    net = _Net((2, 3, 3, 6), SIGNED)
    net.permute()
    return net.head()


def _residual(channels: int, strided: bool, size: int = 6) -> Callable[[], Graph]:
    """A block of two convolutions with an identity, or a strided convolution, beside it."""

    def make() -> Graph:
        net = _Net((1, size, size, channels))
        stride = (1, 2, 2) if strided else (1, 1, 1)
        flat: Padding = ((0, 0), (1, 1), (1, 1))
        start = net.last
        net.contract(channels, Window((1, 3, 3), stride, flat))
        long = net.contract(channels, Window((1, 3, 3), padding=flat), out=SIGNED)
        short = start
        if strided:
            short = net.contract(channels, Window(stride=stride), out=Format(8, True, 2), source=start)
        net.add_streams(long, short)
        return net.head()

    return make


def _nested() -> Graph:
    """A block within a block, and a stream added to itself after a pool."""
    net = _Net((1, 4, 4, 4), SIGNED)
    outer = net.last
    inner = net.contract(4, out=SIGNED)
    point = net.contract(4, out=SIGNED)
    net.add_streams(point, inner, SIGNED)
    net.add_streams(net.last, outer, SIGNED)
    start = net.last
    pooled = net.pool("max", Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1))))
    net.add_streams(start, pooled)
    return net.head()


def _looked_up() -> Graph:
    """Tables of one, of 4 and of 8 bits, signed and not, in LUTs and in block RAM; one reads a fork."""
    net = _Net((2, 4, 4, 4), BITS)
    net.table(SIGNED)
    start = net.contract(4, out=Format(4, True, 2), affine="none")
    net.table(BYTES)
    net.contract(4, out=SIGNED, affine="none")
    long = net.table(NIBBLES)
    net.add_streams(long, start)
    return net.head()


def _grouped() -> Graph:
    """Groups, one a channel, and dilated taps."""
    net = _Net((1, 6, 6, 8))
    flat: Padding = ((0, 0), (2, 2), (2, 2))
    net.contract(8, Window((1, 3, 3), padding=flat, dilation=(1, 2, 2)), groups=2)
    net.contract(8, Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1))), groups=8)
    return net.head()


def _concatenated() -> Graph:
    """Three branches at three scales, of one a part of the channels; one after the other, and a part of that."""
    net = _Net((1, 5, 4, 8), SIGNED)
    start = net.last
    window = net.contract(4, Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1))), out=NIBBLES)
    point = net.contract(6, out=Format(8, True, 2), source=start)
    part = net.slice(start, 2, 4)
    joined = net.concatenate(window, point, part, out=SIGNED)
    net.slice(joined, 0, 12)
    return net.head()


def _excited() -> Graph:
    """A product of two maps, and a gate of each channel for all positions of it."""
    net = _Net((1, 4, 4, 8), SIGNED)
    start = net.last
    other = net.contract(8, out=NIBBLES)
    product = net.multiply(start, other)
    net.pool("average", Window((1, 4, 4)))
    net.contract(4)
    net.contract(8, out=BYTES)
    net.multiply(product, net.last)
    return net.head()


def _wide_input() -> Graph:
    """Sixteen-bit activations would not fit; eight-bit weights and many channels give the widest sums."""
    net = _Net((1, 2, 2, 64))
    net.contract(8, weights=Format(8, True, 6, narrow=True), out=Format(8, True, -4))
    return net.head(40)


CUBE = Window((3, 3, 3), padding=SAME)
#: By name; the digests of their Verilog stand in designs.json under the same names.
NETWORKS: dict[str, Callable[[], Graph]] = {
    "voxels": _contractions((5, 5, 5, 1), CUBE, BITS),
    "voxels-in-blocks": _contractions((4, 4, 4, 8), Window((3, 3, 3), (2, 2, 2), SAME), BITS),
    "signed-voxels": _contractions((4, 4, 4, 2), CUBE, Format(2, True, 0)),
    "convolution": _contractions((4, 5, 6, 4), CUBE),
    "convolution-2d": _contractions((1, 6, 7, 3), Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1))), SIGNED),
    "convolution-strided": _contractions((6, 7, 5, 4), Window((3, 3, 2), (2, 3, 2), ((1, 0), (0, 1), (1, 1)))),
    "convolution-gaps": _contractions((5, 6, 7, 4), Window((1, 2, 1), (2, 3, 3))),
    "pointwise": _contractions((3, 3, 3, 8), Window()),
    "pointwise-bias": _contractions((3, 3, 3, 8), Window(), affine="shift", out=SIGNED),
    "pointwise-shift": _contractions((3, 3, 3, 8), Window(), affine="none", out=SIGNED),
    "weights-2": _contractions((3, 3, 3, 4), CUBE, weights=Format(2, True, 0, narrow=True)),
    "weights-3": _contractions((3, 3, 3, 4), CUBE, NIBBLES, weights=Format(3, True, 1, narrow=True)),
    "weights-8": _contractions((3, 3, 3, 4), CUBE, weights=Format(8, True, 6, narrow=True)),
    "codes-2": _contractions((3, 3, 3, 4), CUBE, weights=Codebook.of_top(2, False, 0)),
    "codes-3-zero": _contractions((3, 3, 3, 4), CUBE, SIGNED, weights=Codebook.of_top(3, True, 0)),
    "codes-4": _contractions((3, 3, 3, 4), CUBE, weights=Codebook.of_top(4, False, 0)),
    "codes-5-zero": _contractions((3, 3, 3, 4), CUBE, weights=Codebook.of_top(5, True, 0), affine="none"),
    "tensor-train": _tensor_train,
    "carried-forward": _carried(True),
    "carried-backward": _carried(False),
    "carried-window": _carried_window,
    "linear": _linear,
    "permutation": _permuted,
    "max-pool": _pool((4, 6, 6, 4), "max", Window((2, 2, 2), (2, 2, 2))),
    "max-pool-overlapping": _pool((3, 5, 5, 4), "max", Window((3, 3, 3), (1, 2, 2), SAME)),
    "average-pool": _pool((4, 6, 6, 4), "average", Window((2, 3, 2), (2, 3, 2))),
    "average-pool-overlapping": _pool((3, 5, 5, 4), "average", Window((3, 3, 3), (2, 2, 2), SAME)),
    "average-of-the-map": _pool((3, 4, 4, 6), "average", Window((3, 4, 4))),
    "residual": _residual(4, strided=False),
    "residual-strided": _residual(4, strided=True),
    "residual-deep": _residual(8, strided=False, size=12),
    "nested": _nested,
    "tables": _looked_up,
    "groups": _grouped,
    "concatenation": _concatenated,
    "excitation": _excited,
    "wide": _wide_input,
}
