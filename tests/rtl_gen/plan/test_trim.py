"""The least hardware for a rate: no stage of a plan can be exchanged for a smaller one at the same mean interval."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from qtt_hw.graph import Graph
from qtt_hw.graph.file import load
from rtl_gen.families import ECP5, Resources, device
from rtl_gen.kinds import Folding, kind_of
from rtl_gen.kinds.choices import JoinChoices, divisors
from rtl_gen.plan.derive import derived
from rtl_gen.plan.hardware import hardware_of, stage_specs
from rtl_gen.plan.nest import stream_of
from rtl_gen.plan.plan import Plan, most_cycles
from rtl_gen.plan.reasons import reason
from rtl_gen.plan.search import plan
from rtl_gen.plan.swaps import Swaps
from rtl_gen.plan.trim import Trim, smaller, trimmed

VOXTT = Path(__file__).parents[3] / "models" / "voxtt-modelnet10.qtt"


def every_folding(graph: Graph, name: str) -> Iterator[Folding]:
    """All that the planner chooses among for a stage, whatever its neighbours' words are."""
    node = next(node for node in graph.nodes if node.name == name)
    choices = kind_of(node).choices(
        node, graph.inputs_of(node), [stream_of(graph, source) for source in node.inputs], ECP5
    )
    if isinstance(choices, JoinChoices):
        yield from (choice.folding for choice in choices.choices.values())
        return
    found = {
        choice.folding
        for width in choices.widths
        for lanes in divisors(choices.made)
        for choice in choices.of(width, frozenset({lanes}))
    }
    yield from sorted(found, key=str)


def with_folding(graph: Graph, found: Plan, name: str, folding: Folding) -> Plan | None:
    """The whole plan with one stage's folding, or None where words do not agree, or it hangs."""
    foldings = [(stage.stage, folding if stage.stage == name else stage.folding) for stage in found.stages]
    try:
        specs = stage_specs(graph, foldings, ECP5)
        made = derived(graph, specs, found.device, found.clock_mhz)
        hardware_of(graph, made)
    except ValueError:
        return None
    lanes = {stage.stage: stage.folding.lanes for stage in made.stages}
    for node in graph.nodes:  # a sum reads no wider words: splitting them costs cycles, the search leaves them out
        if len(node.inputs) > 1 and any(lanes[node.name] % lanes.get(source, 1) for source in node.inputs):
            return None
    return made


def total(found: Plan) -> Resources:
    """Without FIFOs, which are not chosen by what they take."""
    fifos = (sum(f.brams for f in found.fifos), sum(f.luts for f in found.fifos))
    return Resources(found.dsps, found.brams - fifos[0], found.luts - fifos[1])


def exchanges(graph: Graph, found: Plan, limit: Fraction) -> list[str]:
    """Stages for which something smaller in everything does at most so many cycles, by trying all there is."""
    stages = []
    for stage in found.stages:
        for folding in every_folding(graph, stage.stage):
            other = with_folding(graph, found, stage.stage, folding)
            if other is not None and other.cycles <= limit and smaller(total(other), total(found)):
                stages.append(f"{stage.stage}: {folding} for {stage.folding}")
    return stages


@pytest.mark.parametrize("slower", [1, 3, 20])
@pytest.mark.parametrize("which", ["network", "residual", "carried"])
def test_no_stage_can_be_smaller_at_the_same_interval(which: str, slower: int, request: pytest.FixtureRequest) -> None:
    graph: Graph = request.getfixturevalue(which)
    found = plan(graph, device("ecp5-12f"))
    limit = found.cycles
    if slower > 1:
        fps = found.frames_per_second / slower
        found, limit = plan(graph, device("ecp5-12f"), fps=fps), Fraction(most_cycles(100.0, fps))
        assert found.cycles <= limit
    assert exchanges(graph, found, limit) == []


def test_a_folding_larger_than_needed_is_exchanged(network: Graph) -> None:
    """From the fastest plan's foldings, which the search never gives for a tenth of the rate."""
    fastest = plan(network, device("ecp5-12f"))
    foldings = {stage.stage: stage.folding for stage in fastest.stages}
    trim = Trim(Swaps.of(network, foldings, ECP5), device("ecp5-12f"))
    found = trim.swaps.specs(trimmed(trim, foldings, fastest.cycles * 10))
    assert trim.swaps.mean(found) <= fastest.cycles * 10
    assert sum(spec.products for spec in found) < sum(spec.products for spec in trim.swaps.specs(foldings))
    assert trim.cheaper(found, trim.swaps.specs(foldings))


def test_a_limit_that_nothing_reaches_changes_no_stage_s_words_apart(residual: Graph) -> None:
    found = plan(residual, device("ecp5-12f"))
    foldings = {stage.stage: stage.folding for stage in found.stages}
    trim = Trim(Swaps.of(residual, foldings, ECP5), device("ecp5-12f"))
    assert trimmed(trim, foldings, Fraction(1)) == foldings
    specs = trim.swaps.specs(foldings)
    assert trim.swaps.agree(specs) and trim.holds(specs, found.cycles) and not trim.holds(specs, found.cycles - 1)


def test_the_committed_model_s_plan_has_no_multiplier_that_its_rate_does_not_need() -> None:
    found = plan(load(VOXTT), device("ecp5-85f"), fps=1000)
    assert (found.cycles, found.multipliers) == (98_304, 66)
    specs, _ = hardware_of(load(VOXTT), found)
    trim = Trim(Swaps.of(load(VOXTT), {stage.stage: stage.folding for stage in found.stages}, ECP5), device("ecp5-85f"))
    # Half of the lanes would be too slow for whatever has more than one, or something dearer would take their place.
    for number, spec in enumerate(specs):
        if spec.products > 1 and 2 * spec.cycles <= found.cycles:
            text = reason(trim, specs, number, found.cycles)
            assert text is not None and text.startswith("slower: +"), spec.node.name
