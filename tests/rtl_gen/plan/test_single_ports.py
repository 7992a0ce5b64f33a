"""Rings in memories of one port: planned where they pay, equal to the golden model, as many as there are."""

from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, ICE40, device
from rtl_gen.kinds import spec_of
from rtl_gen.plan.explain import explained
from rtl_gen.plan.hardware import hardware_of, left_of_link, stage_specs
from rtl_gen.plan.plan import Plan, load_plan, save_plan
from rtl_gen.plan.problem import Problem
from rtl_gen.plan.search import plan
from rtl_gen.plan.single_ports import with_single_ports
from sim.cosim import cosim
from sim.netlist import netlist_build


def network(size: int) -> Graph:
    """A strided convolution of cubes of four channels and a head over all of its map, which one ring holds twice."""
    rng, shape = np.random.default_rng(5), (size, size, size, 4)
    narrow, act = Format(4, True, 0, narrow=True), Format(8, False, 6)

    def layer(name: str, source: str, window: Window, made: int, requant: Requantizer) -> Contraction:
        weight = as_integers(rng.integers(-7, 8, (made, *window.kernel, 4)))
        return Contraction(name, (source,), "net", window, weight, narrow, requant)

    conv = layer("conv", INPUT, Window((3, 3, 3), (2, 2, 2), ((1, 1),) * 3), 4, Requantizer(act, 7))
    head = layer("head", "conv", Window((size // 2,) * 3), 3, Requantizer(Format(16, True, 0), 2))
    return Graph("cubes", input_spec(shape, offset=0, format=Format(8, False, 0)), (conv, head))


@pytest.fixture(scope="module")
def cubes() -> tuple[Graph, Plan]:
    graph = network(16)
    return graph, plan(graph, device("up5k"))


def ports(found: Plan) -> dict[str, int]:
    return {stage.stage: stage.folding.ports for stage in found.stages}


def test_a_ring_is_moved_where_block_ram_is_what_limits(
    cubes: tuple[Graph, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, found = cubes
    assert ports(found) == {"conv": 2, "head": 1}
    monkeypatch.setattr("rtl_gen.plan.search.with_single_ports", lambda problem, planned: None)
    assert (found.cycles, plan(graph, device("up5k")).cycles) == (12_288, 18_144), "as docs/design.md says"


def test_it_equals_the_golden_model_in_the_predicted_cycles(cubes: tuple[Graph, Plan], tmp_path: Path) -> None:
    graph, found = cubes
    emit(graph, tmp_path / "build", found, taps=True)
    x = np.random.default_rng(7).integers(0, 256, (4, *graph.input.edge.shape))
    result = cosim(tmp_path / "build", x)
    assert result.equal and result.cycles_equal is True


@pytest.mark.long
def test_so_does_its_netlist(cubes: tuple[Graph, Plan], tmp_path: Path) -> None:
    graph, found = cubes
    emit(graph, tmp_path / "build", found, taps=True)
    netlist = netlist_build(tmp_path / "build", tmp_path / "netlist")
    x = np.random.default_rng(7).integers(0, 256, (3, *graph.input.edge.shape))
    result = cosim(netlist, x)
    assert result.equal and result.cycles_equal is True
    assert cosim(netlist, x[:2], stalls=True, seed=11).equal
    assert (netlist / "netlist.v").read_text().count("SB_SPRAM256KA ") == sum(
        spec.single_ports for spec in hardware_of(graph, found)[0]
    )


def test_a_ring_is_no_deeper_than_its_memory() -> None:
    """Planning asks what would be gained by the deepest ring that a stage can make use of."""
    graph = network(20)
    found = plan(graph, device("up5k"))
    assert ports(found)["head"] == 1
    conv = found.stages[0].folding
    moved = spec_of(
        graph.nodes[0], (graph.input.edge,), conv.model_copy(update={"simd": 2, "ring": 2000, "ports": 1}), ICE40
    )
    assert moved.deepest()["ring"] == 16384 < 2 * moved.in_words


def test_plans_beside_one_have_rings_of_one_port_too(cubes: tuple[Graph, Plan]) -> None:
    graph, found = cubes
    beside = explained(Problem.of(graph, {}, ICE40), device("up5k"), found).neighbours
    assert beside is not None and beside.smaller is not None
    assert found.cycles < beside.smaller.cycles < 16_000, "18 144 with all rings in block RAM"


class EveryRing:
    """A problem whose plans have both rings in memories of one port, as long as both may be."""

    alternatives: dict[str, object] = {}  # noqa: RUF012
    stages = {("conv", ""): ["conv"], ("head", ""): ["head"]}  # noqa: RUF012
    family = ICE40

    def __init__(self, graph: Graph, found: Plan):
        self.graph, self.asked = graph, list[frozenset[str]]()
        conv, head = found.stages
        moved = conv.folding.model_copy(update={"ports": 1})
        self.of_one = found
        self.of_both = found.model_copy(update={"stages": (conv.model_copy(update={"folding": moved}), head)})

    def with_single_ports(self, stages: frozenset[str]) -> Plan:
        self.asked.append(stages)
        return self.of_both if len(stages) == 2 else self.of_one


def test_as_many_as_the_link_leaves(cubes: tuple[Graph, Plan]) -> None:
    """Words of 32 bits: two of the four memories hold the sample, two more the first ring, and one the second."""
    graph, found = cubes
    every = EveryRing(graph, found)
    specs = stage_specs(graph, every.of_both.foldings, ICE40)
    assert [spec.single_ports for spec in specs] == [2, 1]
    assert left_of_link(graph, specs, found.input_lanes) == 2
    assert with_single_ports(every, lambda one: one) is found  # type: ignore[arg-type, return-value]
    assert every.asked == [{"conv", "head"}, {"head"}], (
        "which saves more block RAM with one than the other with each of two"
    )
    with pytest.raises(
        ValueError, match="^the plan: stage head: rings take 3 memories of one port, the link leaves 2$"
    ):
        hardware_of(graph, every.of_both)


def test_what_cannot_be_is_refused(cubes: tuple[Graph, Plan]) -> None:
    graph, found = cubes
    head = graph.nodes[1]
    x, folding = graph.input_of(head), found.stages[1].folding
    with pytest.raises(ValueError, match=r"^stage head: ECP5 has no memories of one port$"):
        spec_of(head, (x,), folding.model_copy(update={"multiplier": "logic"}), ECP5)
    with pytest.raises(ValueError, match=r"^stage head: a ring of 16385 words of .* 16384 of 64 are the most"):
        spec_of(head, (x,), folding.model_copy(update={"ring": 16385}), ICE40)
    with pytest.raises(ValueError, match=r"folding\.ports"):
        Plan.model_validate(found.model_dump(mode="json") | {"stages": [_with(found, ports=3)]})


def _with(found: Plan, **changes: object) -> dict[str, object]:
    stage = found.stages[0].model_dump(mode="json")
    return stage | {"folding": stage["folding"] | changes}


def test_of_two_ports_a_plan_says_nothing(cubes: tuple[Graph, Plan], tmp_path: Path) -> None:
    _, found = cubes
    save_plan(found, tmp_path / "plan.json")
    assert (tmp_path / "plan.json").read_text().count('"ports"') == 1
    assert load_plan(tmp_path / "plan.json") == found
