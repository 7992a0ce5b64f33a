"""The integer graph's own rules."""

from dataclasses import replace

import pytest

from qtt_hw.graph import INPUT, Add, Graph, Node, Pool
from qtt_hw.graph.preprocess import VOXELS, input_spec
from qtt_hw.window import Window


def _graph(*nodes: Node) -> Graph:
    return Graph("net", input_spec((1, 2, 2, 3)), nodes)


def test_every_stage_but_the_last_is_read() -> None:
    a, b = (Pool(name, (INPUT,), name, "max", Window()) for name in "ab")
    end = Pool("end", ("b",), "end", "max", Window((1, 2, 2)))
    with pytest.raises(ValueError, match="^stage a: nothing reads it$"):
        _ = _graph(a, b, end).edges
    both = Add.aligned("sum", ("a", "b"), "sum", VOXELS, VOXELS, VOXELS)
    assert list(_graph(a, b, both, replace(end, inputs=("sum",))).edges) == [INPUT, "a", "b", "sum", "end"]
