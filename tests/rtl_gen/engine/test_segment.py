"""What an engine computes of a graph: which stage adds, what it adds, and what it cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec, Node, Pool, Reshape
from qtt_hw.window import Window
from rtl_gen.engine.rings import least_rows
from rtl_gen.engine.schedule import OUTSIDE, schedule
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.spec import works_of

BYTES, WEIGHTS = Format(8, True, 0), Format(4, True, 0, narrow=True)
EDGE = Edge((1, 8, 6, 4), BYTES)
SAME = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
BLOCK = ("a", "b", "short", "sum")


def conv(name: str, source: str, window: Window = SAME) -> Contraction:
    weight = as_integers(np.ones((4, *window.kernel, 4), dtype=np.int64))
    return Contraction(name, (source,), name, window, weight, WEIGHTS, Requantizer(BYTES, 5))


def add(name: str, one: str, other: str) -> Add:
    return Add.aligned(name, (one, other), name, BYTES, BYTES, BYTES)


def graph_of(nodes: Sequence[Node]) -> Graph:
    return Graph("net", InputSpec(EDGE, EDGE.shape), tuple(nodes))


@pytest.fixture
def graph() -> Graph:
    """A first layer, a block with a contraction beside it, one without, a pool, and a last layer."""
    pool = Pool("pool", ("sum2",), "pool", "max", Window((1, 2, 2), (1, 2, 2)))
    block = [conv("a", "first"), conv("b", "a"), conv("short", "first", Window()), add("sum", "b", "short")]
    nodes = [conv("first", INPUT), *block, conv("c", "sum"), conv("d", "c"), add("sum2", "sum", "d"), pool]
    return graph_of([*nodes, conv("last", "pool")])


def test_the_last_stage_of_a_sum_adds(graph: Graph) -> None:
    segment = Segment.of(graph, [*BLOCK, "c", "d", "sum2"])
    assert [stage.node.name for stage in segment.stages] == ["a", "b", "short", "c", "d"]
    assert [stage.source for stage in segment.stages] == [OUTSIDE, 0, OUTSIDE, 2, 3]
    added = {stage.node.name: one for stage, one in segment.sums}
    assert {name: (one.node.name, one.source, one.place) for name, one in added.items()} == {
        "short": ("sum", 1, 1),
        "d": ("sum2", 2, 1),
    }
    assert segment.last.name == "sum2" and segment.made == graph.edges["sum2"]


def test_what_a_block_reads_stays_until_it_is_added(graph: Graph) -> None:
    """Two rows of each of two windows, and the one at hand."""
    segment = Segment.of(graph, ["c", "d", "sum2"])
    works = works_of(segment, 2, 2)
    assert [(read.source, read.summand) for read in segment.reads([5, 3])[1]] == [(0, False), (OUTSIDE, True)]
    assert least_rows(works, segment.reads([1, 1])) == (3, 3)
    first_to_sum = Segment.of(graph, ["first", *BLOCK])
    works = works_of(first_to_sum, 2, 2)
    rows = least_rows(works, first_to_sum.reads([1] * 4))
    assert rows == (3, 3, 3, 1)
    assert schedule(works, first_to_sum.reads(rows), 20).steps == sum(work.cycles for work in works)


def test_a_ring_of_the_stream_holds_back_what_is_ahead(graph: Graph) -> None:
    """With as few rows as a sum needs, the contraction before it waits for the sum; with fewer nothing goes on."""
    segment = Segment.of(graph, ["c", "d", "sum2"])
    works = works_of(segment, 4, 4)
    starts = {}
    for rows in (3, 8):
        program = schedule(works, segment.reads([rows, 8]), 20)
        starts[rows] = [number for number, stage in enumerate(program.stages) if stage == 0]
    assert starts[3] > starts[8]
    with pytest.raises(ValueError, match="stage c: a ring of 2 rows is too small for the engine's order"):
        schedule(works, segment.reads([2, 8]), 20)


WRONG = {
    "a pool": (["d", "sum2", "pool"], "stage sum2: reads sum, which is neither in its engine nor what that reads, c"),
    "a pool behind a block": (["c", "d", "sum2", "pool"], "stage pool: an engine's stages are contractions, and sums"),
    "a branch": (
        ["a", "b", "sum"],
        "stage sum: reads short, which is neither in its engine nor what that reads, first",
    ),
    "a gap": (["first", "b", "short"], "stage b: reads a, which is neither in its engine nor what that reads, input"),
    "half a block": (["first", "a", "b"], "stage first: only what an engine's last stage makes is read outside of it"),
    "a sum alone": (["sum"], "stage sum: an engine adds to results of its own that only the sum reads"),
    "two ends": (["a", "short"], "stage a: only what an engine's last stage makes is read outside of it"),
    "another order": (["b", "a"], "stage a: an engine's stages stand in the order of the model"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_engine_computes_is_named(name: str, graph: Graph) -> None:
    names, wanted = WRONG[name]
    with pytest.raises(ValueError) as error:
        Segment.of(graph, names)
    assert wanted in str(error.value)


def test_a_sum_of_what_others_read_too_is_refused() -> None:
    nodes = [conv("a", INPUT), add("sum", "a", INPUT), conv("b", "a"), add("sum2", "b", "sum")]
    with pytest.raises(ValueError, match="stage sum: an engine adds to results of its own that only the sum reads"):
        Segment.of(graph_of(nodes), ["a", "sum", "b", "sum2"])


def test_who_reads_another_shape_is_seen() -> None:
    """A reshape in between makes no difference to who else reads what is made inside."""
    flat = Reshape("flat", ("a",), "flat", (1, 1, 1, 192))
    weight = as_integers(np.ones((4, 1, 1, 1, 192), dtype=np.int64))
    beside = Contraction("beside", ("flat",), "beside", Window(), weight, WEIGHTS, Requantizer(BYTES, 5))
    whole = conv("whole", "b", Window((1, 8, 6)))
    nodes = [conv("a", INPUT), conv("b", "a"), whole, flat, beside, add("sum", "whole", "beside")]
    with pytest.raises(ValueError, match="stage a: only what an engine's last stage makes is read outside of it"):
        Segment.of(graph_of(nodes), ["a", "b"])
