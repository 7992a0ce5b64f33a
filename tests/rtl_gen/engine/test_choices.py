"""Engines of given lanes on committed networks: cycles near those of the array alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from qtt_hw.graph import Contraction
from qtt_hw.graph.file import load
from rtl_gen.cycles import predict
from rtl_gen.engine.choices import engine_of
from rtl_gen.engine.segment import Segment
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of


@pytest.fixture(scope="module")
def chain():
    graph = load(Path("models/voxtt-modelnet10.qtt"))
    nodes = [node for node in graph.nodes if isinstance(node, Contraction)]
    return nodes, [graph.edges[node.inputs[0]] for node in nodes]


def test_the_modelnet10_network_on_one_engine(chain):
    """Behind a first stage that takes about as long, at least 95 % of the array's cycles are steps."""
    nodes, edges = chain
    first = spec_of(
        nodes[0], (edges[0],), Folding(simd=8, pe=4, lanes=1, ring=2048, queue=32, multiplier="logic"), ECP5
    )
    engine = engine_of(Segment.chain(nodes[1:], edges[1:]), 8, 4, ECP5)
    assert engine.folding.lanes == 2 and engine.folding.multiplier == "packed"
    found = predict([first, engine], 8, classes=10)
    assert engine.program.steps / found.mean > 0.95
    cost = engine.resources()
    assert cost.dsps == 18 and cost.luts < 2000


def test_lanes_that_no_requantiser_serves_are_named(chain):
    nodes, edges = chain
    with pytest.raises(ValueError, match=r"stage head.0.out: no number of requantiser lanes divides 16 x 16 lanes"):
        engine_of(Segment.chain(nodes[1:], edges[1:]), 16, 16, ECP5)
