"""Residual networks: every word equal to golden, every transfer in the predicted cycle, hangs included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.graph.golden import run
from rtl_gen.cycles import schedule
from rtl_gen.top import Top
from rtl_gen.topology import Reader
from sim.stream import exchange

CLASSES = 3


def with_fifos(case, data, inputs, depths):
    """The case's topology with FIFOs at some of the inputs of each sum."""
    fifos = {}
    for number, sources in enumerate(case.topology.reads):
        for k in data.draw(st.sampled_from(inputs)) if len(sources) == 2 else ():
            fifos[Reader(number, k)] = data.draw(depths)
    return case.topology.with_fifos(fifos)


def run_top(case, topology, words, found, **options):
    """What comes out of the design, and out of every stage, when as many words come as the model says."""
    top = Top(case.specs, case.in_lanes, topology, taps=True)
    taps = [getattr(top, f"tap_{name}") for name in top.names[:-1]]
    source = (top.i, words[0](case.x, case.in_lanes, case.graph.input.edge.format))
    untaken = len(source[1]) - len(found[0])
    (accepted,), (output, *stages) = exchange(
        top, [source], [(top.o, len(found[-1]))], taps=taps, drain=600, untaken=untaken, **options
    )
    return accepted, output, stages


@pytest.mark.long
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_every_transfer_is_where_the_event_model_has_it(networks, words, data):
    """Also where FIFOs are so shallow that the network hangs: then it does after the same words."""
    case = data.draw(networks)
    topology = with_fifos(case, data, [(0,), (1,), (0, 1)], st.sampled_from([1, 2, 3, 5, 9, 20, 64, 65, 90]))
    found = schedule(case.specs, case.in_lanes, len(case.x), classes=CLASSES, topology=topology)
    accepted, output, stages = run_top(case, topology, words, found)
    assert list(accepted) == found[0].tolist()
    assert list(output.cycles) == found[-1].tolist()
    for spec, got, cycles in zip(case.specs, stages, found[1:-1], strict=True):
        assert list(got.cycles) == cycles.tolist(), spec.node.name
    golden = run(case.graph, case.x, intermediates=True)
    for spec, got in zip(case.specs, stages, strict=True):
        values = words[1](got.words, spec.folding.lanes, spec.out.format)
        assert np.array_equal(values, golden[spec.node.name].reshape(-1)[: len(values)]), spec.node.name
