"""A network of one stage whose intervals have a period of three, and a residual one, as plans."""

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.plan.derive import derived
from rtl_gen.plan.plan import Plan

FORMAT = Format(3, True, 0)


def contraction(name, source, made, window, taken=1):
    weight = np.random.default_rng(2).integers(-3, 4, (made, *window.kernel, taken))
    return Contraction(name, (source,), name, window, weight, Format(3, True, 0, narrow=True), Requantizer(FORMAT, 1))


@pytest.fixture(scope="session")
def uneven() -> tuple[Graph, Plan]:
    """Its inferences come after 12, 5 and 11 cycles in turn: the least of queues in a stage with a stride."""
    edge = Edge((2, 1, 1, 1), FORMAT)
    node = contraction("only", INPUT, 2, Window((2, 1, 1), (2, 1, 1)))
    graph = Graph("uneven", InputSpec(edge, edge.shape), (node,))
    spec = spec_of(node, (edge,), Folding(simd=1, pe=1, lanes=1, ring=4, queue=3, multiplier="logic"), ECP5)
    return graph, derived(graph, [spec], "ecp5-25f", 100.0)


@pytest.fixture(scope="session")
def residual() -> Graph:
    edge = Edge((1, 4, 4, 2), FORMAT)
    same = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
    nodes = (
        contraction("conv", INPUT, 2, same, 2),
        Add.aligned("sum", ("conv", INPUT), "sum", FORMAT, FORMAT, FORMAT),
        contraction("head", "sum", 3, Window((1, 4, 4)), 2),
    )
    return Graph("residual", InputSpec(edge, edge.shape), nodes)
