"""The plans beside a plan: slower and cheaper, faster and dearer, and what of the device the faster one would need."""

from dataclasses import replace

import pytest

from rtl_gen.families import ECP5, Resources, device
from rtl_gen.plan.explain import explained
from rtl_gen.plan.limits import budget_of
from rtl_gen.plan.neighbours import neighbours
from rtl_gen.plan.problem import Problem
from rtl_gen.plan.search import DoesNotFit, plan, planned


def price(found, target):
    return budget_of(target).price(Resources(found.dsps, found.brams, found.luts))


@pytest.mark.parametrize("which", ["network", "residual"])
def test_they_stand_on_both_sides(which, request):
    graph, target = request.getfixturevalue(which), device("ecp5-25f")
    problem = Problem.of(graph, {}, ECP5)
    fastest = planned(problem, target, fps=None, clock_mhz=50.0)
    found = planned(problem, target, fps=fastest.frames_per_second / 2, clock_mhz=50.0)
    beside = neighbours(problem, target, found)
    assert beside.smaller is not None and beside.larger is not None
    assert beside.smaller.cycles > found.cycles > beside.larger.cycles >= fastest.cycles
    assert price(beside.smaller, target) < price(found, target) < price(beside.larger, target)
    assert beside.larger.fits and beside.smaller.fits and beside.budgets == ()
    assert beside.larger.frames_per_second == pytest.approx(50e6 / float(beside.larger.cycles))
    # They are plans: asked for their rates, the search has some that are no dearer.
    for one in (beside.smaller, beside.larger):
        again = plan(graph, target, fps=one.frames_per_second, clock_mhz=50.0)
        assert again.cycles <= one.cycles and price(again, target) <= price(one, target) * 1.02


def test_what_of_the_device_is_too_small_is_found_by_trying(network):
    target = replace(device("ecp5-12f"), name="toy", luts=8000)
    problem = Problem.of(network, {}, ECP5)
    found = planned(problem, target, fps=None, clock_mhz=100.0)
    beside = neighbours(problem, target, found)
    assert beside.larger is not None and not beside.larger.fits
    assert beside.larger.cycles < found.cycles and beside.budgets
    for name in ("dsps", "brams", "luts"):
        more = replace(target, **{name: 10**6})
        assert (planned(problem, more, fps=None, clock_mhz=100.0).cycles < found.cycles) == (name in beside.budgets)
    with pytest.raises(DoesNotFit):
        planned(problem, target, fps=beside.larger.frames_per_second, clock_mhz=100.0)


def test_on_a_device_without_bounds_there_is_nothing_faster(network):
    problem = Problem.of(network, {}, ECP5)
    found = planned(problem, device("none"), fps=None, clock_mhz=100.0)
    beside = neighbours(problem, device("none"), found)
    assert beside.larger is None and beside.budgets == ()


def test_flip_flops_keep_a_plan_from_being_faster(network):
    problem = Problem.of(network, {}, ECP5)
    found = planned(problem, device("ecp5-25f"), fps=8000, clock_mhz=100.0)
    target = replace(device("ecp5-25f"), name="toy", ffs=found.ffs)
    beside = neighbours(problem, target, found)
    assert beside.larger is not None and not beside.larger.fits and beside.larger.ffs > found.ffs
    assert beside.budgets == ("ffs",)


def test_the_least_hardware_has_nothing_smaller(residual):
    problem = Problem.of(residual, {}, ECP5)
    found = planned(problem, device("ecp5-12f"), fps=1.0, clock_mhz=100.0)
    assert neighbours(problem, device("ecp5-12f"), found).smaller is None


def test_an_explanation_says_all_of_it(network):
    problem = Problem.of(network, {}, ECP5)
    found = planned(problem, device("ecp5-25f"), fps=5000, clock_mhz=100.0)
    told = explained(problem, device("ecp5-25f"), found)
    assert [one.stage for one in told.stages] == [stage.stage for stage in found.stages]
    assert told.lanes == sum(one.lanes for one in told.stages)
    assert told.occupancy == pytest.approx(network.macs() / (told.lanes * float(found.cycles)), abs=1e-6)
    assert max(one.busy for one in told.stages) == found.utilization
    assert told.neighbours == neighbours(problem, device("ecp5-25f"), found)
    assert explained(problem, device("ecp5-25f"), found, with_neighbours=False).neighbours is None
