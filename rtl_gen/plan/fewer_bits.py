"""With how many fewer bits a network would fit: graphs with less of their weights and activations, planned, not run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from qtt_hw.graph import INPUT, Graph, Node
from qtt_hw.progress import Progress, silent
from rtl_gen.families import DEVICES, Device
from rtl_gen.kinds.choices import LEAST_RING_MARGIN
from rtl_gen.plan.limits import budget_of
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.problem import Alternatives, Problem
from rtl_gen.plan.search import DoesNotFit, fits, plan

__all__ = ["FewerBits", "Saving", "narrowed", "savings"]

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
    progress : Progress
    """

    with_bits: Callable[[str, int], tuple[Graph, Alternatives]]
    device: Device
    cycles: int | None
    clock_mhz: float
    progress: Progress = silent

    def that_fit(self, graph: Graph, alternatives: Alternatives) -> list[str]:
        """With how many bits a graph that does not fit would, in words; empty where bits are not what is in the way."""
        if fits(graph, self.device, alternatives, self.cycles):
            return []  # its stages fit: it is waits between them, or FIFOs
        if not fits(graph, DEVICES["none"], alternatives, self.cycles):
            return []  # no folding is that fast
        found = {name: bits for name, high in _widest(graph).items() if (bits := self._most(name, high)) is not None}
        if not found:
            return ["with weights of 2 bits neither, nor with activations of 2 bits"]
        return [f"with {name} = {bits} it {self._how_fast(name, bits)}" for name, bits in found.items()]

    def _most(self, name: str, high: int) -> int | None:
        """The most bits below `high` that fit: narrower never needs more, so they are bisected."""
        low = LEAST - 1
        while high - low > 1:
            bits = (low + high) // 2
            self.progress("fewer bits", text=f"it does not fit; trying {name} = {bits}")
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


def _rescaling(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.rescales]


def narrowed(graph: Graph, *, weights: int = 16, activations: int = 16) -> Graph:
    """The graph with at most so many bits of each weight, or its code, and of what stages put out but for the logits.

    What is planned depends on weights only by their widths and by the sums that are possible with them.
    """
    last = _rescaling(graph)[-1]
    nodes, edges = list[Node](), {INPUT: graph.input.edge}
    for node in graph.nodes:
        inputs = [edges[name] for name in node.inputs]
        made = node.narrowed(*inputs, weights=weights, outputs=16 if node is last else activations)
        edges[node.name] = made.output(*inputs)
        nodes.append(made)
    return replace(graph, nodes=tuple(nodes))


@dataclass(frozen=True)
class Saving:
    """What a network at the same rate would need less of with one bit less of its widest weights or activations.

    Attributes
    ----------
    name : "weight_bits" or "activation_bits"
    bits : int
        That they then have.
    dsps, brams, luts, ffs : int
        Less by so much; more where negative.
    """

    name: str
    bits: int
    dsps: int
    brams: int
    luts: int
    ffs: int


def savings(problem: Problem, device: Device, plan: Plan, progress: Progress = silent) -> tuple[Saving, ...]:
    """Of each kind of bits that a stage has more than the least of; by the search, at the cycles of a plan.

    Parameters
    ----------
    problem : Problem
        That was planned, of a model.
    device : Device
    plan : Plan
    progress : Progress
    """
    cycles = int(plan.cycles * Fraction(LEAST_RING_MARGIN))
    budget = replace(budget_of(device), dsps=None, brams=None, luts=None)
    base = problem.solve(cycles, budget)
    found = []
    for name, most in _widest(problem.graph).items():
        if base is None or most <= LEAST:
            continue
        progress("fewer bits", text=f"{name} = {most - 1}")
        graph = narrowed(problem.graph, **{name.removesuffix("_bits") + "s": most - 1})
        less = Problem.of(graph, {}, problem.family, engines=problem.engines is not None).solve(cycles, budget)
        if less is not None:
            one, other = base.resources, less.resources
            saved = (getattr(one, what) - getattr(other, what) for what in ("dsps", "brams", "luts", "ffs"))
            found.append(Saving(name, most - 1, *saved))
    return tuple(found)


def _widest(graph: Graph) -> dict[str, int]:
    """The most bits of a weight, and of what a stage but the last puts out."""
    return {
        "weight_bits": max((node.weight_bits for node in graph.nodes), default=0),
        "activation_bits": max((graph.edges[n.name].format.bits for n in _rescaling(graph)[:-1]), default=0),
    }
