"""Networks of contractions that carry modes along: every stage equal to golden, and the cycles as predicted."""

import numpy as np
import pytest

from qtt_hw.graph import Reshape
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, device
from rtl_gen.kinds import spec_of
from rtl_gen.plan.derive import derived
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.search import plan
from sim.cosim import cosim

#: Part of a trail at a time: several trail groups, results of one value, rings of few lanes.
NARROW = {
    "forward.0": {"simd": 1, "pe": 1, "carry": 4, "lanes": 2},
    "forward.1": {"simd": 1, "pe": 1, "carry": 2, "lanes": 1},
    "forward.2": {"simd": 2, "pe": 2, "carry": 1, "lanes": 1},
    "backward.0": {"simd": 1, "pe": 3, "carry": 1, "lanes": 3},
    "backward.1": {"simd": 1, "pe": 1, "carry": 1, "lanes": 1},
    "both": {"simd": 1, "pe": 1, "carry": 1, "lanes": 1},
    "middle": {"simd": 1, "pe": 1, "carry": 1, "lanes": 1},
}


def narrowed(network, found: Plan) -> Plan:
    """The plan with `NARROW` choices and rings of a whole row or more."""
    of_all = {"ring": 300, "multiplier": "dsp"}
    chain = [s.folding.model_copy(update={**NARROW.get(s.stage, {}), **of_all}) for s in found.stages]
    nodes = [node for node in network.nodes if not isinstance(node, Reshape)]
    specs = [spec_of(n, (network.input_of(n),), folding, ECP5) for n, folding in zip(nodes, chain, strict=True)]
    return derived(network, specs, "ecp5-25f", 100.0)


@pytest.fixture(scope="module")
def planned(carried):
    fastest = plan(carried, device("ecp5-25f"))
    return {"fastest": fastest, "narrow": narrowed(carried, fastest)}


def test_the_fastest_plan_carries_in_parallel(carried, planned):
    foldings = {s.stage: s.folding for s in planned["fastest"].stages}
    assert max(folding.carry for folding in foldings.values()) > 1
    trails = {node.name: node.trail for node in carried.nodes if not isinstance(node, Reshape)}
    assert all(trails[name] % folding.carry == 0 for name, folding in foldings.items())
    assert planned["fastest"].cycles < planned["narrow"].cycles


@pytest.mark.parametrize("which", ["fastest", pytest.param("narrow", marks=pytest.mark.long)])
def test_every_stage_is_equal_and_the_cycles_are_as_predicted(carried, planned, tmp_path, which):
    emit(carried, tmp_path / "build", planned[which], taps=True)
    x = np.random.default_rng(5).integers(0, 8, (6, *carried.input.edge.shape))
    result = cosim(tmp_path / "build", x)
    assert result.equal, result.first_difference
    assert result.cycles_equal is True and result.cycles == planned[which].cycles
    assert result.latency == planned[which].latency
    assert cosim(tmp_path / "build", x, stalls=("mostly", "bursty"), seed=1).equal
