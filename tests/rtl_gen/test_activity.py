"""What units do in steady state: every cycle is told of, steps are the stage's, and who is waited for is named."""

import math

import pytest

from rtl_gen.activity import NOBODY, steady_activity
from rtl_gen.cycles import predict
from rtl_gen.families import ECP5
from rtl_gen.kinds.unfolded import UnfoldedSpec
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.topology import SOURCE, Topology
from tests.replay.replay import DESIGNS


def watched(design, stretches=40):
    """The specs of a design, its prediction, and what its units do."""
    graph = design.graph
    specs = stage_specs(graph, list(design.foldings.items()), ECP5)
    topology = Topology.of(graph, {(stage, number): depth for stage, number, depth in design.fifos})
    given = {"classes": math.prod(graph.output.shape), "topology": topology}
    prediction = predict(specs, design.input_lanes, **given)
    found = steady_activity(specs, design.input_lanes, prediction=prediction, stretches=stretches, **given)
    return specs, topology, prediction, found


@pytest.mark.parametrize("name", [name for name, design in DESIGNS.items() if not design.is_model])
def test_every_cycle_is_told_of_and_steps_are_the_stage_s(name):
    specs, topology, prediction, found = watched(DESIGNS[name])
    for activity in (found.period, found.inference):
        for unit in activity.units:
            assert (unit.works + unit.starved + unit.stalled == activity.length).all()
            assert ((unit.starved > 0) == (unit.starved_by != NOBODY)).all()
            assert ((unit.stalled > 0) == (unit.stalled_by != NOBODY)).all()
            assert unit.since < unit.until <= found.inference.last
    assert found.settled and found.period.length == sum(prediction.intervals)
    assert found.inference.first >= found.inference.begin
    steps = [unit.works[0] for unit in found.period.units[1:-1]]
    assert steps == [_own_steps(spec) * len(prediction.intervals) for spec in specs]
    assert [unit.stage for unit in found.period.units] == [SOURCE, *range(len(specs) + 1)]
    for unit in found.inference.units[1:-1]:
        reads = {unit.stage, *topology.reads[unit.stage]}  # itself, where its window is unfolded in front of it
        readers = {reader.stage for reader in topology.readers[unit.stage]}
        assert set(unit.starved_by) - {NOBODY} <= reads and set(unit.stalled_by) - {NOBODY} <= readers


def _own_steps(spec):
    """Steps of the unit that multiplies, without what unfolds its window."""
    return spec.inner.cycles if isinstance(spec, UnfoldedSpec) else spec.cycles


def test_whoever_waits_names_the_slower_stage_at_the_other_end():
    specs, _, prediction, found = watched(DESIGNS["voxtt-modelnet10.qtt"])
    names = [spec.node.name for spec in specs]
    interval = prediction.intervals[0]
    slowest = max(range(len(specs)), key=lambda number: specs[number].cycles)
    units = found.period.units[1:-1]
    assert units[slowest].works[0] == specs[slowest].cycles
    for number, unit in enumerate(units):
        assert unit.works[0] + unit.starved[0] + unit.stalled[0] == interval, names[number]
        if unit.starved[0]:
            assert unit.starved_by[0] == number - 1
        if unit.stalled[0]:
            assert unit.stalled_by[0] == number + 1
    assert found.period.units[0].stalled_by[0] == 0
    # Words of the input are always there, and what comes out is always taken: the ends wait for what lies between.
    assert units[0].starved[0] == 0 < units[0].stalled[0] and units[-1].stalled[0] == 0 < units[-1].starved[0]
