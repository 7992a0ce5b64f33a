"""What the stages of a network put out over some samples: how often each integer, what was clamped, and how noisy.

Samples go through in small groups and are counted; no stage's output is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import Format, IntArray
from qtt_hw.graph import INPUT, Edge, Graph, Node
from qtt_hw.graph.unrounded import stages as unrounded
from qtt_hw.progress import Progress, silent

if TYPE_CHECKING:
    from qtt_hw.lower.prepared import PreparedModel

__all__ = ["Reference", "StageFacts", "as_floats", "collect"]

#: Samples that go through together, and values of the largest stream that are then held.
CHUNK, STREAM_VALUES = 16, 1 << 22
#: Bits of an integer before it is clamped that are told from others; the most that a format has.
WIDE = 16

#: Of preprocessed samples [N, D, H, W, C]: what each stage, in order, would put out, in steps of its output's format.
Reference = Callable[[NDArray], Iterable[tuple[str, NDArray]]]


@dataclass
class StageFacts:
    """A stage's output over some samples.

    Attributes
    ----------
    node : Node
    edge : Edge
        Of its output.
    counts : int64 array, [codes]
        How often each integer of the output's format, from its least on, was put out.
    below, above : int or None
        Values under and over the format's ends, which were clamped to them. None where that cannot be told: of stages
        that have no scale of their own, of tables, and of outputs of 16 bits. With a ReLU `below` are those below 0.
    signal, noise : float
        Sums of squares: of the reference's values, and of their differences to the integers.
    """

    node: Node
    edge: Edge
    counts: IntArray
    below: int | None = None
    above: int | None = None
    signal: float = 0.0
    noise: float = 0.0
    rectified: bool = field(init=False)

    def __post_init__(self) -> None:
        self.rectified = not self.edge.format.signed and self.below is not None

    @property
    def values(self) -> int:
        """How many were put out."""
        return int(self.counts.sum())

    @property
    def codes(self) -> IntArray:
        """The integers that are counted."""
        return np.arange(self.edge.format.minimum, self.edge.format.maximum + 1)

    @property
    def codes_used(self) -> float:
        """The share of the format's integers that came up."""
        return float((self.counts > 0).mean())

    @property
    def zeros(self) -> float:
        """The share of values that are 0."""
        return float(self.counts[-self.edge.format.minimum]) / max(self.values, 1)

    @property
    def clipped(self) -> tuple[float, float] | None:
        """The shares that were clamped at the lower and at the upper end; a ReLU's zeros are not among them."""
        if self.below is None or self.above is None:
            return None
        return (0.0 if self.rectified else self.below) / max(self.values, 1), self.above / max(self.values, 1)

    @property
    def signal_to_noise(self) -> float | None:
        """Of the reference, in dB; None where they are equal, or there is no signal."""
        if self.noise == 0 or self.signal == 0:
            return None
        return 10 * math.log10(self.signal / self.noise)


def collect(
    graph: Graph, x: NDArray, reference: Reference | None = None, *, progress: Progress = silent
) -> list[StageFacts]:
    """The facts of every stage over preprocessed samples, in the graph's order.

    Parameters
    ----------
    graph : Graph
    x : integer array, [N, D, H, W, C]
        As `preprocess` makes them.
    reference : Reference, optional
        What the integers are compared with: without one, the same network without roundings and clamps.
    """

    def exact(part: NDArray) -> Iterator[tuple[str, NDArray]]:
        return ((node.name, values) for node, values in unrounded(graph, part))

    wide = {node.name: _unclamped(node) for node in graph.nodes}
    facts = []
    for node in graph.nodes:
        edge = graph.edges[node.name]
        told = 0 if wide[node.name] is not None else None
        facts.append(
            StageFacts(node, edge, np.zeros(edge.format.maximum - edge.format.minimum + 1, np.int64), told, told)
        )
    largest = max(math.prod(edge.shape) for edge in graph.edges.values())
    chunk = max(1, min(CHUNK, STREAM_VALUES // largest))
    for start in range(0, len(x), chunk):
        part = x[start : start + chunk]
        expected = iter((reference or exact)(part))
        for found, (integers, clamped) in zip(facts, _integers(graph, wide, part), strict=True):
            name, values = next(expected)
            if name != found.node.name:
                raise ValueError(f"stage {found.node.name}: is compared with {name}")
            _count(found, integers, clamped)
            found.signal += float(np.sum(np.square(values, dtype=np.float64)))
            found.noise += float(np.sum(np.square(values.astype(np.float64) - integers)))
        progress("stages", min(start + chunk, len(x)), len(x))
    return facts


def _unclamped(node: Node) -> Node | None:
    """The stage with an output wide enough to tell what its own format clamps; None where there is none."""
    requant: Any = getattr(node, "requant", None)
    if requant is None or not node.rescales or requant.out.bits >= WIDE:
        return None
    changed: Any = replace(requant, out=Format(WIDE, True, requant.out.frac))
    return replace(node, requant=changed)  # type: ignore[call-arg]


def _integers(
    graph: Graph, wide: dict[str, Node | None], x: NDArray
) -> Iterator[tuple[IntArray, tuple[int, int] | None]]:
    """Each stage's output integers, and how many values were below and above its format."""
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    values = {INPUT: x.astype(np.int64)}
    for node in graph.nodes:
        streams = [(values[name], graph.edges[name]) for name in node.inputs]
        clamped, whole = None, wide[node.name]
        if whole is None:
            y = node.golden(*streams)
        else:
            y, fmt = whole.golden(*streams), graph.edges[node.name].format
            clamped = int(np.count_nonzero(y < fmt.minimum)), int(np.count_nonzero(y > fmt.maximum))
            y = fmt.saturate(y)
        del streams
        for name in set(node.inputs):
            if last[name] == node.name:
                del values[name]
        if node.name in last:
            values[node.name] = y
        yield y, clamped


def _count(found: StageFacts, integers: IntArray, clamped: tuple[int, int] | None) -> None:
    least = found.edge.format.minimum
    found.counts += np.bincount((integers - least).reshape(-1), minlength=len(found.counts))
    if clamped is not None and found.below is not None and found.above is not None:
        found.below, found.above = found.below + clamped[0], found.above + clamped[1]


def as_floats(prepared: PreparedModel, graph: Graph) -> Reference:
    """The stages of a prepared model in float, as `Stage.floats` computes them: only its weights are quantised.

    The noise is then that of the activations, and of batch norm's integers.
    """
    import torch

    from qtt_hw.lower.execute import execute
    from qtt_hw.lower.integer import full_precision

    def run(x: NDArray) -> Iterator[tuple[str, NDArray]]:
        given = torch.from_numpy(x.astype(np.float32)).permute(0, 4, 1, 2, 3) * 2.0**-graph.input.edge.format.frac
        given = given.contiguous(memory_format=torch.channels_last_3d)
        with torch.no_grad(), full_precision(given.device):
            for stage, y in execute(prepared.stage_list, given, lambda stage, inputs: stage.floats(*inputs)):
                steps = y.to(torch.float64) * 2.0 ** graph.edges[stage.name].format.frac
                yield stage.name, steps.permute(0, 2, 3, 4, 1).numpy()

    return run
