"""A whole small network: equal to golden under stalls, and its cycles equal to the prediction."""

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format
from qtt_hw.graph.golden import run
from rtl_gen.families import ECP5, device
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.search import plan
from rtl_gen.top import Top
from sim.stream import transfer


@pytest.fixture(scope="module")
def planned(network):
    found = plan(network, device("ecp5-25f"))
    return found, stage_specs(network, [(s.stage, s.folding) for s in found.stages], ECP5)


@pytest.mark.parametrize("stalls", [(0.0, 0.0), pytest.param((0.3, 0.5), marks=pytest.mark.long)])
def test_logits_index_and_cycles(network, planned, words, stalls):
    found, specs = planned
    pack, unpack = words
    x = np.random.default_rng(3).integers(0, 2, size=(5, *network.input.edge.shape))
    top = Top(specs, found.input_lanes)
    got = transfer(top, pack(x, found.input_lanes, network.input.edge.format), 6 * len(x), stalls=stalls)
    table = np.array(got.words).reshape(len(x), 6)
    logits = run(network, x)["head"].reshape(len(x), 5)
    values = unpack(tuple(int(w) & 0xFFFF for w in table.reshape(-1)), 1, Format(16, True, 0)).reshape(len(x), 6)
    assert np.array_equal(values[:, :5], logits)
    assert np.array_equal(values[:, 5], np.argmax(logits, axis=1))
    assert np.array_equal(table >> 16, [[0, 0, 0, 0, 0, 1]] * len(x))
    if stalls == (0.0, 0.0):
        assert got.produced[5] == found.latency
        assert [end - got.accepted[0] for end in got.produced[5::6]] == [found.predicted.end(n) for n in range(len(x))]


def test_taps_observe_every_stage(planned):
    top = Top(planned[1], planned[0].input_lanes, taps=True)
    taps = [name for name in top.signature.members if name.startswith("tap_")]
    assert taps == [f"tap_{spec.node.name.replace('.', '_')}" for spec in planned[1]]
