"""Plans with engines: as files, as hardware with taps, and what does not fit the model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.engine.choices import engine_folding
from rtl_gen.engine.folding import EngineFolding
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.derive import derived
from rtl_gen.plan.hardware import hardware_of, stage_specs
from rtl_gen.plan.plan import AnyFolding, Plan, UnitName, load_plan, save_plan
from sim.cosim import Engine, cosim
from sim.icarus import available
from sim.netlist import netlist_build
from tests.rtl_gen.other_weights import with_other_weights

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
    if engine == "icarus" and not available():
        pytest.skip("iverilog is not installed")
    save_plan(planned, tmp_path / "plan.json")
    manifest = emit(graph, tmp_path / "build", tmp_path / "plan.json", taps=True)
    assert [tap.stage for tap in manifest.taps] == ["a", *NAMES]
    x = np.random.default_rng(1).integers(0, 256, (4, *graph.input.edge.shape))
    found = cosim(tmp_path / "build", x, engine=engine)
    assert found.equal and found.cycles_equal
    assert found.cycles == planned.cycles


@pytest.fixture(scope="module")
def residual() -> Graph:
    """A first layer; blocks that add what they read, and a contraction of it, at other scales; a last layer."""
    rng = np.random.default_rng(3)
    edge, nodes = Edge((1, 10, 7, 4), Format(8, False, 2)), list[Contraction | Add]()
    inputs = InputSpec(edge, edge.shape)

    def conv(name: str, source: str, x: Edge, made: int, window: Window, out: Format) -> Edge:
        weight = as_integers(rng.integers(-7, 8, (made, *window.kernel, x.channels)))
        m, b = rng.integers(900, 3000, made), rng.integers(-(1 << 14), 1 << 15, made)
        requant = Requantizer(out, 14, tuple(int(v) for v in m), tuple(int(v) for v in b))
        nodes.append(Contraction(name, (source,), name, window, weight, WEIGHTS, requant))
        return nodes[-1].output(x)

    def add(name: str, one: str, a: Edge, other: str, b: Edge, frac: int) -> Edge:
        nodes.append(Add.aligned(name, (one, other), name, a.format, b.format, Format(8, False, frac)))
        return nodes[-1].output(a, b)

    same = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
    half = Window((1, 3, 3), (1, 2, 2), ((0, 0), (1, 1), (1, 1)))
    x = conv("first", INPUT, edge, 8, same, Format(8, False, 3))
    middle = conv("a", "first", x, 6, same, Format(8, False, 2))
    x = add("sum1", "b", conv("b", "a", middle, 8, same, Format(8, True, 1)), "first", x, 2)
    beside = conv("short", "sum1", x, 8, Window((1, 1, 1), (1, 2, 2)), Format(8, True, 4))
    middle = conv("c", "sum1", x, 5, half, Format(7, False, 2))
    x = add("sum2", "short", beside, "d", conv("d", "c", middle, 8, same, Format(8, True, 2)), 1)
    middle = conv("e", "sum2", x, 4, same, Format(8, True, 2))
    x = add("sum3", "f", conv("f", "e", middle, 8, same, Format(8, True, 1)), "sum2", x, 0)
    conv("last", "sum3", x, 3, Window((1, 5, 4)), Format(16, True, 0))
    return Graph("net", inputs, tuple(nodes))


def residual_plan(residual: Graph, multiplier: LaneKind) -> Plan:
    """Two engines: one adds what it makes itself, the other the stream that it reads too."""
    names = [node.name for node in residual.nodes[1:]]
    cut = names.index("e")
    parts = []
    for part, (simd, pe) in ((names[:cut], (4, 4)), (names[cut:-1], (2, 4))):
        draft = engine_folding(Segment.of(residual, part), simd, pe, ECP5)
        parts.append((tuple(part), draft.model_copy(update={"multiplier": multiplier})))
    first = Folding(simd=4, pe=2, lanes=2, ring=64, queue=16)
    last = Folding(simd=4, pe=1, lanes=1, ring=64, queue=16)
    foldings: list[tuple[UnitName, AnyFolding]] = [("first", first), *parts, ("last", last)]
    return derived(residual, stage_specs(residual, foldings, ECP5), "ecp5-85f", 100.0)


@pytest.mark.parametrize("multiplier", ["packed", "logic"])
def test_every_sum_of_engines_is_golden_in_the_predicted_cycles(
    multiplier: LaneKind, residual: Graph, tmp_path: Path
) -> None:
    plan = residual_plan(residual, multiplier)
    assert not plan.fifos  # what is added waits in rings
    save_plan(plan, tmp_path / "plan.json")
    manifest = emit(residual, tmp_path / "build", tmp_path / "plan.json", taps=True)
    assert sorted(tap.stage for tap in manifest.taps) == sorted(node.name for node in residual.nodes)
    x = np.random.default_rng(1).integers(0, 256, (5, *residual.input.edge.shape))
    found = cosim(tmp_path / "build", x)
    assert found.equal and found.cycles_equal
    assert found.cycles == plan.cycles


@pytest.mark.parametrize("shift", [pytest.param(0, marks=pytest.mark.long), -1])
def test_an_engine_takes_other_weights(shift: int, residual: Graph, tmp_path: Path) -> None:
    """In the same cycles; scales of a smaller shift too, which become those of the engine's shifts."""
    plan = residual_plan(residual, "packed")
    emit(residual, tmp_path / "one", plan, taps=True, exchangeable=True)
    assert 'rom_style = "logic"' not in (tmp_path / "one" / "design.v").read_text()
    other = with_other_weights(residual, 3, shift)
    emit(other, tmp_path / "two", taps=True, like=tmp_path / "one")
    x = np.random.default_rng(1).integers(0, 256, (3, *residual.input.edge.shape))
    for name in ("one", "two"):
        found = cosim(tmp_path / name, x)
        assert found.equal and found.cycles_equal and found.cycles == plan.cycles


def test_what_has_no_room_in_an_engine_is_named(graph: Graph, planned: Plan, tmp_path: Path) -> None:
    emit(graph, tmp_path / "one", planned, exchangeable=True)
    with pytest.raises(ValueError, match="one: stage b: its scales want a shift of 16, the design's is 15$"):
        emit(with_other_weights(graph, 3, 2), tmp_path / "two", like=tmp_path / "one")
    first, scaled = graph.nodes[:2]
    assert isinstance(scaled, Contraction)
    wider = replace(scaled, requant=replace(scaled.requant, multiplier=(1 << 15,) * 8))
    other = replace(graph, nodes=(first, wider, *graph.nodes[2:]))
    with pytest.raises(ValueError, match="one: stage b: its m lie in 65536 to 65536, the design holds -16384 to"):
        emit(other, tmp_path / "two", like=tmp_path / "one")
    assert not (tmp_path / "two").exists()


def test_room_leaves_an_engine_its_shifts(residual: Graph, tmp_path: Path) -> None:
    """Where scales that are multiplied up to another stage's shift just fill a multiplier's operand."""
    nodes = list(residual.nodes)
    scaled = nodes[1]
    assert isinstance(scaled, Contraction) and scaled.requant.multiplier is not None
    up = tuple(m << 5 for m in scaled.requant.multiplier), tuple(b << 5 for b in scaled.requant.offset or ())
    nodes[1] = replace(scaled, requant=replace(scaled.requant, shift=19, multiplier=up[0], offset=up[1]))
    network = replace(residual, nodes=tuple(nodes))
    plan = residual_plan(network, "packed")
    engine = hardware_of(network, plan)[0][1]
    assert isinstance(engine, EngineSpec) and engine.numbers.scaling.shifts == (19,)
    emit(network, tmp_path / "one", plan, exchangeable=True)
    emit(with_other_weights(network, 3), tmp_path / "two", like=tmp_path / "one")
    x = np.random.default_rng(1).integers(0, 256, (2, *residual.input.edge.shape))
    found = cosim(tmp_path / "two", x)
    assert found.equal and found.cycles_equal


@pytest.mark.long
def test_the_netlist_takes_other_weights(graph: Graph, planned: Plan, tmp_path: Path) -> None:
    emit(graph, tmp_path / "one", planned, taps=True, exchangeable=True)
    emit(with_other_weights(graph, 3), tmp_path / "two", taps=True, like=tmp_path / "one")
    x = np.random.default_rng(2).integers(0, 256, (4, *graph.input.edge.shape))
    for name in ("one", "two"):
        found = cosim(netlist_build(tmp_path / name, tmp_path / f"{name}-netlist"), x)
        assert found.equal and found.cycles_equal


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
    "another order": (
        {"stages": ["c", "b", "d", "head"]},
        "stage b: an engine's stages stand in the order of the model",
    ),
    "a stage of another name": ({"stages": [*NAMES[:-1], "tail"]}, "it has no stage head, but tail, which is not"),
    "a first ring without rows": ({"rows": [0, 4, 2, 6]}, "stage b: a ring of 0 rows, 3 are the least"),
    "a gap": ({"stages": ["b", "d", "head"]}, "it has no stage c"),
    "a stage twice": ({"stages": ["a", *NAMES]}, "stage a stands in it 2 times"),
    "a ring too small": ({"rows": [3, 4, 1, 5]}, "stage head: a ring of 5 rows"),
    "a ring without end": ({"rows": [3, 4, 1 << 40, 6]}, "stage d: a ring of 1099511627776 rows, its input has 6"),
    "a queue without end": ({"queue": 1 << 40}, "a queue of 1099511627776 words is more than it can use, 1028"),
    "a ring too few": ({"rows": [3, 4, 1]}, "3 rings are given, each of its 4 contractions has one"),
    "a first ring that does not divide": ({"rows": [4, 4, 1, 6]}, "stage b: a ring of 4 rows does not divide"),
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
