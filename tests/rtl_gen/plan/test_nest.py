"""Series and parallels of a graph, and its refusal where sums do not nest."""

import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Add, Edge, Graph, InputSpec, Permutation, Reshape
from rtl_gen.plan.nest import Block, nest, producer

EDGE = Edge((1, 1, 2, 2), Format(4, True, 0))


def network(*stages):
    """A graph of (name, inputs): a stage of one input, a sum of two; behind it a reshape."""
    nodes = []
    for name, *inputs in stages:
        if len(inputs) == 2:
            nodes.append(Add(name, tuple(inputs), "net", (0, 0), Requantizer(EDGE.format, 0)))
        else:
            nodes.append(Permutation(name, tuple(inputs), "net", (1, 0)))
    nodes.append(Reshape("flat", (nodes[-1].name,), "flat", (1, 1, 1, 4)))
    return Graph("net", InputSpec(EDGE, EDGE.shape), tuple(nodes))


def text(series):
    """Names, a block as [branch | branch] sum."""
    found = []
    for item in series:
        if isinstance(item, Block):
            found.append(f"[{text(item.branches[0])}|{text(item.branches[1])}]")
        found.append(item.join.name if isinstance(item, Block) else item.name)
    return " ".join(found)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([("a", INPUT), ("b", "a")], "a b"),
        ([("a", INPUT), ("s", "a", INPUT), ("b", "s")], "[a|] s b"),
        ([("s", INPUT, INPUT)], "[|] s"),
        ([("a", INPUT), ("b", INPUT), ("s", "a", "b"), ("c", "s"), ("t", "s", "c")], "[a|b] s [|c] t"),
        # a block within a branch, and a stream that three read
        ([("a", INPUT), ("s", "a", INPUT), ("b", "s"), ("t", "b", INPUT)], "[[a|] s b|] t"),
        ([("s", INPUT, INPUT), ("t", "s", INPUT)], "[[|] s|] t"),
    ],
)
def test_series_and_parallels(stages, expected):
    assert text(nest(network(*stages))) == expected


def test_a_stage_is_found_behind_reshapes():
    graph = network(("a", INPUT))
    assert producer(graph, "flat") == "a"
    assert producer(graph, INPUT) == INPUT


def test_branches_that_do_not_nest_are_refused():
    bridge = network(("a", INPUT), ("b", INPUT), ("s", "a", "b"), ("t", "a", "s"))
    with pytest.raises(
        ValueError, match="^stage a: it lies on branches of two joins of which neither is within"
    ) as refused:
        nest(bridge)
    assert "\n" not in str(refused.value)
