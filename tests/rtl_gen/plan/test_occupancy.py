"""Occupancy is useful products / (all lanes x the exact mean interval), and a stage's is the part that it is busy."""

from fractions import Fraction

import pytest

from rtl_gen.families import ECP5, device
from rtl_gen.kinds import spec_of
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.occupancy import busy, occupancy
from rtl_gen.plan.search import plan


def test_the_mean_of_uneven_intervals_is_exact(uneven):
    graph, found = uneven
    specs, _ = hardware_of(graph, found)
    assert occupancy(specs, found.cycles) == Fraction(4) / Fraction(28, 3) == Fraction(3, 7)
    assert found.utilization == round(float(busy(specs[0], found.cycles)), 6)


@pytest.mark.parametrize("which", ["network", "carried", "residual"])
def test_of_a_stage_and_of_all(which, request):
    graph = request.getfixturevalue(which)
    found = plan(graph, device("ecp5-25f"))
    specs, _ = hardware_of(graph, found)
    lanes = useful = 0
    for spec in specs:
        one, folding = occupancy([spec], found.cycles), spec.folding
        products = spec.node.macs(*spec.inputs)
        if not products:
            assert one is None
            continue
        count = folding.simd * folding.pe * folding.carry
        assert one == products / (count * found.cycles)
        # There is some padding, on which no step is spent unless axes are unfolded.
        assert one < busy(spec, found.cycles) if folding.unfold else one == busy(spec, found.cycles)
        lanes, useful = lanes + count, useful + products
    assert occupancy(specs, found.cycles) == useful / (lanes * found.cycles)
    assert useful == graph.macs()


def test_lanes_count_however_they_multiply(uneven):
    graph, found = uneven
    (spec,), _ = hardware_of(graph, found)
    for kind in ("dsp", "logic"):
        folding = spec.folding.model_copy(update={"multiplier": kind})
        assert occupancy([spec_of(spec.node, spec.inputs, folding, ECP5)], Fraction(28)) == Fraction(1, 7)
