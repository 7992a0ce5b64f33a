"""Plans with engines: as files, as hardware with taps, and what does not fit the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.engine.folding import EngineFolding
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding
from rtl_gen.plan.derive import derived
from rtl_gen.plan.plan import Plan, load_plan, save_plan, stage_specs
from sim.cosim import Engine, cosim
from sim.netlist import netlist_build

WEIGHTS, BYTES = Format(4, True, 0, narrow=True), Format(8, True, 0)
FIRST = Folding(simd=2, pe=2, lanes=2, ring=64, queue=16)
ENGINE = EngineFolding(simd=4, pe=4, lanes=2, rows=(3, 4, 2, 6), queue=16, multiplier="packed")
NAMES = ("b", "c", "d", "head")


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A first layer, three convolutions, of which one has a batch norm, and a head over the map."""
    rng = np.random.default_rng(0)
    pad = ((0, 0), (1, 1), (1, 1))
    layers = [
        (8, Window((1, 3, 3), (1, 2, 2), pad), BYTES),
        (8, Window((1, 3, 3), padding=pad), Format(8, False, 0)),
        (6, Window((1, 1, 3), padding=((0, 0), (0, 0), (1, 1))), BYTES),
        (10, Window(), BYTES),
        (4, Window((1, 6, 5)), Format(16, True, 0)),
    ]
    x = Edge((1, 11, 9, 2), Format(8, False, 0))
    first, source, nodes = x, INPUT, []
    for name, (made, window, out) in zip(("a", *NAMES), layers, strict=True):
        weight = as_integers(rng.integers(-7, 8, (made, *window.kernel, x.channels)))
        requant = Requantizer(out, 4)
        if not out.signed:
            m, b = rng.integers(900, 3000, made), rng.integers(-(1 << 14), 1 << 15, made)
            requant = Requantizer(out, 14, tuple(int(v) for v in m), tuple(int(v) for v in b))
        nodes.append(Contraction(name, (source,), name, window, weight, WEIGHTS, requant))
        x, source = nodes[-1].output(x), name
    return Graph("net", InputSpec(first, first.shape), tuple(nodes))


@pytest.fixture(scope="module")
def planned(graph: Graph) -> Plan:
    return derived(graph, stage_specs(graph, [("a", FIRST), (NAMES, ENGINE)], ECP5), "ecp5-25f", 100.0)


@pytest.mark.parametrize("engine", ["verilator", "icarus"])
def test_every_stage_is_golden_in_the_predicted_cycles(
    engine: Engine, graph: Graph, planned: Plan, tmp_path: Path
) -> None:
    """In Icarus Verilog too, where nothing starts with a value: neither memories nor what is padded."""
    if engine == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    save_plan(planned, tmp_path / "plan.json")
    manifest = emit(graph, tmp_path / "build", tmp_path / "plan.json", taps=True)
    assert [tap.stage for tap in manifest.taps] == ["a", *NAMES]
    x = np.random.default_rng(1).integers(0, 256, (4, *graph.input.edge.shape))
    found = cosim(tmp_path / "build", x, engine=engine)
    assert found.equal and found.cycles_equal
    assert found.cycles == planned.cycles


@pytest.mark.long
def test_the_netlist_is_equal(graph: Graph, planned: Plan, tmp_path: Path) -> None:
    emit(graph, tmp_path / "build", planned, taps=True)
    folder = netlist_build(tmp_path / "build", tmp_path / "netlist")
    x = np.random.default_rng(2).integers(0, 256, (4, *graph.input.edge.shape))
    found = cosim(folder, x)
    assert found.equal and found.cycles_equal


def test_a_plan_without_engines_says_nothing_of_them(graph: Graph, planned: Plan, tmp_path: Path) -> None:
    """So that older readers, which refuse what they do not know, read it."""
    plain = planned.model_copy(update={"engines": ()})
    assert "engines" not in plain.model_dump(mode="json") and "engines" in planned.model_dump(mode="json")
    save_plan(planned, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == planned


WRONG = {
    "another order": ({"stages": ["c", "b", "d", "head"]}, "stage b: an engine's stages are a chain"),
    "a gap": ({"stages": ["b", "d", "head"]}, "it has no stage c"),
    "a stage twice": ({"stages": ["a", *NAMES]}, "stage a is not in the model, or out of order"),
    "a ring too small": ({"rows": [3, 4, 1, 5]}, "stage head: a ring of 5 rows"),
    "a ring without end": ({"rows": [3, 4, 1 << 40, 6]}, "stage d: a ring of 1099511627776 rows, its input has 6"),
    "a queue without end": ({"queue": 1 << 40}, "a queue of 1099511627776 words is more than it can use, 1028"),
    "a ring too few": ({"rows": [3, 4, 1]}, "rings of 3 stages are given, it has 4"),
    "a first ring that does not divide": ({"rows": [4, 4, 1, 6]}, "a ring of 4 rows does not divide the input's 6"),
    "lanes that do not divide": ({"lanes": 3}, "lanes 3 does not divide simd 4"),
    "a queue too small": ({"queue": 1}, "a queue of 1 words cannot hold a job's 2"),
    "lanes that shift": ({"multiplier": "shift"}, "lanes that shift need weights of a codebook"),
    "another number of cycles": ({"cycles": 1}, "the plan says 1, of the model it is"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_line(name: str, graph: Graph, planned: Plan, tmp_path: Path) -> None:
    changes, wanted = WRONG[name]
    content = json.loads(json.dumps(planned.model_dump(mode="json")))
    engine = content["engines"][0]
    for field, value in changes.items():
        (engine if field in engine else engine["folding"])[field] = value
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        emit(graph, tmp_path / "build", tmp_path / "plan.json")
    assert wanted in str(error.value) and str(tmp_path / "plan.json") in str(error.value)
    assert "\n" not in str(error.value) and not (tmp_path / "build").exists()
