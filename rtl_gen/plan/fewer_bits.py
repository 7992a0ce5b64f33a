"""With how many fewer bits a network would fit: graphs with less of their weights and activations, planned, not run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Graph, Node
from rtl_gen.families import DEVICES, Device
from rtl_gen.plan.problem import Alternatives
from rtl_gen.plan.search import DoesNotFit, fits, plan

__all__ = ["FewerBits", "narrowed"]

#: The least bits of weights and of activations.
LEAST = 2


@dataclass(frozen=True)
class FewerBits:
    """The search for bits with which a network that does not fit a device would.

    Parameters
    ----------
    with_bits : callable
        The graph, and its alternatives, with so many "weight_bits" or "activation_bits".
    device : Device
    cycles : int or None
        That a frame rate asks for; None where any number would do.
    clock_mhz : float
    progress : callable, optional
    """

    with_bits: Callable[[str, int], tuple[Graph, Alternatives]]
    device: Device
    cycles: int | None
    clock_mhz: float
    progress: Callable[[str], None] | None = None

    def that_fit(self, graph: Graph, alternatives: Alternatives) -> list[str]:
        """With how many bits a graph that does not fit would, in words; empty where bits are not what is in the way."""
        if fits(graph, self.device, alternatives, self.cycles):
            return []  # its stages fit: it is waits between them, or FIFOs
        if not fits(graph, DEVICES["none"], alternatives, self.cycles):
            return []  # no folding is that fast
        rounding = _rounding(graph)
        most = {
            "weight_bits": max((n.weight_format.bits for n in rounding if isinstance(n, Contraction)), default=0),
            "activation_bits": max((node.requant.out.bits for node in rounding[:-1]), default=0),
        }
        found = {name: bits for name, high in most.items() if (bits := self._most(name, high)) is not None}
        if not found:
            return ["with weights of 2 bits neither, nor with activations of 2 bits"]
        return [f"with {name} = {bits} it {self._how_fast(name, bits)}" for name, bits in found.items()]

    def _most(self, name: str, high: int) -> int | None:
        """The most bits below `high` that fit: narrower never needs more, so they are bisected."""
        low = LEAST - 1
        while high - low > 1:
            bits = (low + high) // 2
            if self.progress is not None:
                self.progress(f"it does not fit; trying {name} = {bits}")
            if fits(*self._arguments(name, bits), self.cycles):
                low = bits
            else:
                high = bits
        return low if low >= LEAST else None

    def _arguments(self, name: str, bits: int) -> tuple[Graph, Device, Alternatives]:
        graph, alternatives = self.with_bits(name, bits)
        return graph, self.device, alternatives

    def _how_fast(self, name: str, bits: int) -> str:
        if self.cycles is not None:
            return "reaches that"
        graph, device, alternatives = self._arguments(name, bits)
        try:
            found = plan(graph, device, clock_mhz=self.clock_mhz, alternatives=alternatives, progress=self.progress)
        except DoesNotFit:  # by its FIFOs
            return "nearly fits"
        return f"fits, at {found.cycles} cycles, {found.frames_per_second:.0f} frames a second"


def _rounding(graph: Graph) -> list[Contraction | Add]:
    return [node for node in graph.nodes if isinstance(node, Contraction | Add)]


def narrowed(graph: Graph, *, weights: int = 16, activations: int = 16) -> Graph:
    """The graph with at most so many bits of each weight, or its code, and of what stages put out but for the logits.

    Weights keep their leading bits, and outputs a step as much larger. What is planned depends on weights only by
    their widths and by the sums that are possible with them.
    """
    last = _rounding(graph)[-1]
    formats, nodes = {INPUT: graph.input.edge.format}, list[Node]()
    edges = {INPUT: graph.input.edge}
    for node in graph.nodes:
        if isinstance(node, Contraction):
            node = _narrowed_weight(node, weights)
        if isinstance(node, Contraction | Add) and node.name != last.name:
            node = replace(node, requant=_coarser(node.requant, activations))
        if isinstance(node, Add):
            a, b = (formats[name] for name in node.inputs)
            names = node.inputs[0], node.inputs[1]
            node = Add.aligned(node.name, names, node.source, a, b, node.requant.out)
        edges[node.name] = node.output(*(edges[name] for name in node.inputs))
        formats[node.name] = edges[node.name].format
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _coarser(requant: Requantizer, bits: int) -> Requantizer:
    out = requant.out
    lost = max(out.bits - bits, 0)
    return replace(requant, out=Format(out.bits - lost, out.signed, out.frac - lost), shift=requant.shift + lost)


def _narrowed_weight(node: Contraction, bits: int) -> Contraction:
    fmt = node.weight_format
    if fmt.bits <= bits:
        return node
    if isinstance(fmt, Codebook):
        book = Codebook.of_top(bits, fmt.zero, fmt.top)
        values = book.quantize(node.weight * 2.0**-fmt.frac)
        return replace(node, weight=as_integers(values), weight_format=book)
    lost = fmt.bits - bits
    weight = np.sign(node.weight) * (np.abs(node.weight) >> lost)
    return replace(
        node, weight=as_integers(weight), weight_format=Format(bits, True, fmt.frac - lost, narrow=fmt.narrow)
    )
