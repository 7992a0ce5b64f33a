"""Traces against the golden model, stream by stream, and the views that are saved beside them."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtt_hw.children import Children
from qtt_hw.fixedpoint import as_integers
from qtt_hw.graph import INPUT, Contraction, Graph, golden
from qtt_hw.graph.file import load, save
from rtl_gen.emit import emit
from rtl_gen.manifest import Manifest
from sim.batch import compile_batch, run_batch
from sim.cosim import CosimResult, _job, cosim
from sim.icarus import available
from sim.toolchain import require_headers
from sim.tracing import Tracing, Window, time_of
from sim.wave_signals import scopes_of, verilog
from sim.wave_units import Unit, units_of
from sim.wave_views import View, gtkwave, surfer
from tests.replay.networks import NETWORKS
from tests.sim.traces import Trace

ROOT = "bench.harness.waves"
icarus = pytest.param("icarus", marks=pytest.mark.skipif(not available(), reason="apt-get install iverilog"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of two convolutions and an identity: a fork, a FIFO and a sum."""
    build = tmp_path_factory.mktemp("waves") / "it's a BUILD"
    emit(NETWORKS["residual"](), build, taps=True)
    return build


@pytest.fixture(scope="module")
def broken(sound: Path) -> Path:
    """A model with another weight in its first convolution beside the same Verilog."""
    build = shutil.copytree(sound, sound.with_name("broken"))
    good = load(build / "model.qtt")
    stage = good.nodes[0]
    assert isinstance(stage, Contraction)
    weight = np.array(stage.weight)
    weight[2, 0, 1, 1, 1] += 3 if weight[2, 0, 1, 1, 1] < 0 else -3
    changed = replace(stage, weight=as_integers(weight))
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["digest"] = save(replace(good, nodes=(changed, *good.nodes[1:])), build / "model.qtt")
    (build / "manifest.json").write_text(json.dumps(manifest))
    return build


@pytest.fixture(scope="module")
def x(sound: Path) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (6, *load(sound / "model.qtt").input.edge.shape))


def _units(build: Path) -> tuple[Graph, list[Unit]]:
    manifest = Manifest.load(build)
    graph = load(build / manifest.model)
    return graph, units_of(build, manifest, graph)


def _values(graph: Graph, x: np.ndarray) -> dict[str, np.ndarray]:
    """What passes at each stream, by unit and port: integers [samples, values]."""
    results = {INPUT: x, **golden.run(graph, x, intermediates=True)}
    logits = results[graph.nodes[-1].name].reshape(len(x), -1)
    found = {
        "input_stream.i": x,
        **{f"input__fork.{port}": x for port in ("i", "o0", "o1")},
        **{f"sum2__i1__fifo.{port}": x for port in ("i", "o")},
        "argmax.i": logits,
        "argmax.o": np.concatenate([logits, np.argmax(logits, axis=1)[:, None]], axis=1),
    }
    for node in graph.nodes:
        found |= {f"{node.name}.i{k}": results[name] for k, name in enumerate(node.inputs)}
        found[f"{node.name}.o"] = results[node.name]
    return {name: values.reshape(len(x), -1) for name, values in found.items()}


@pytest.mark.parametrize("engine", ["verilator", icarus, pytest.param("cocotb", marks=pytest.mark.long)])
def test_a_trace_has_the_golden_model_s_values_at_every_stream(
    sound: Path, broken: Path, x: np.ndarray, tmp_path: Path, engine: Any
) -> None:
    """The Verilog of both is the sound model's, so this is what passes, though the broken one is not equal."""
    path = tmp_path / "of all.vcd"
    result = cosim(broken, x[:2], engine=engine, waves=path, stalls=("sparse", "none") if engine == "icarus" else False)
    assert not result.equal and result.waves is not None and result.waves.bytes == path.stat().st_size
    trace, root = Trace(path), ROOT.removeprefix("bench.") if engine == "cocotb" else ROOT
    graph, units = _units(sound)
    values = _values(graph, x[:2])
    streams = [(unit, stream) for unit in units for stream in unit.streams]
    assert {f"{unit.name}.{stream.name}" for unit, stream in streams} == set(values)
    for unit, stream in streams:
        name, lanes = f"{unit.name}.{stream.name}", range(stream.lanes)
        rows = trace.cycles(
            root, *(f"{name}.{part}" for part in ("valid", "ready", "sample", *(f"v{k}" for k in lanes)))
        )
        passed = np.array([row for row in rows if row[1] == row[2] == 1 and row[0] >= 0])
        words, bits = passed[:, 4:], stream.format.bits
        if stream.format.signed:
            words = words - (words >> (bits - 1) << bits)
        np.testing.assert_array_equal(words, values[name].reshape(-1, stream.lanes), name)
        np.testing.assert_array_equal(passed[:, 3], np.repeat([0, 1], stream.words))
    _views_name_what_is_there(result, trace, root)
    fill = np.array([row[1] for row in trace.cycles(root, "sum2__i1__fifo.fill") if row[0] >= 0])
    depth = next(unit.depth for unit in units if unit.depth is not None)
    assert fill.max() == depth and fill[-1] == 0


def _views_name_what_is_there(result: CosimResult, trace: Trace, root: str) -> None:
    """And mark the cycles that they say: the clock rises at the begin of each."""
    assert result.waves is not None and result.first_difference is not None
    save_file, commands = result.waves.gtkwave.read_text(), result.waves.surfer.read_text()
    named = re.findall(rf"^(?:\+\{{\S+\}} )?({re.escape(root)}\.\S+)$", save_file, re.MULTILINE)
    assert len(named) == result.waves.signals + 2 and set(named) <= trace.names
    shown = re.findall(r"^variable_add (\S+)$", commands, re.MULTILINE)
    assert len(shown) == result.waves.signals + 2 and set(shown) <= set(trace.bits)
    assert all(re.fullmatch(r"\w+", name) for name in re.findall("^divider_add (.*)$", commands, re.MULTILINE))
    (marks,) = re.findall(r"^\*(\S+) (\d+) (\d+) (\d+) -1", save_file, re.MULTILINE)
    cycle = result.first_difference.cycle
    assert int(marks[1]) == time_of(cycle) and f"cursor_set {time_of(cycle)}\n" in commands
    assert f"marker_set_at {marks[2]} sample_0\n" in commands and f"marker_set_at {marks[3]} sample_1\n" in commands
    begins = {cycle: time for time, cycle in trace.begins(root)}
    assert all(time_of(cycle) <= begins[cycle] <= time_of(cycle) + 1 for cycle in (0, cycle))
    taken = [
        row[0] for row in trace.cycles(root, "input_stream.i.valid", "input_stream.i.ready") if row[1] == row[2] == 1
    ]
    assert [time_of(taken[0]), time_of(taken[len(taken) // 2])] == [int(marks[2]), int(marks[3])]


@pytest.mark.parametrize("engine", ["verilator", icarus])
def test_around_the_first_difference(broken: Path, x: np.ndarray, tmp_path: Path, engine: Any) -> None:
    """In the third run: of its cycles, and with the numbers of its samples among all."""
    x = x.copy()
    x[:4] = 0
    path = tmp_path / "waves.vcd"
    result = cosim(broken, x, engine=engine, waves=path, around_difference=40, run_length=2)
    assert not result.equal and result.first_difference is not None and result.waves is not None
    assert (result.first_difference.sample, result.first_difference.stage) == (4, "stage0")
    cycle = result.first_difference.cycle
    assert cycle is not None and (result.waves.first_cycle, result.waves.last_cycle) == (cycle - 40, cycle + 10)
    parts = ("valid", "ready", "sample", "h", "w", "v2")
    rows = list(Trace(path).cycles(ROOT, *(f"stage0.o.{part}" for part in parts)))
    assert [row[0] for row in rows] == list(range(cycle - 40, cycle + 11))
    d, h, w, c = result.first_difference.index
    assert rows[40] == (cycle, 1, 1, 4, h, w, result.first_difference.got % 256) and (d, c) == (0, 2)
    view = result.waves.gtkwave.read_text()
    assert re.findall("^@800200\n-(.*)$", view, re.MULTILINE) == ["stage0: Contraction stage0"]
    assert "marks: A sample 5" in view and f"cycle {cycle}: expected" in view
    compiled = sorted(path.name.rsplit("-", 1)[0] for path in (broken / "sim").glob("batch-*"))
    assert engine != "verilator" or set(compiled) == {"batch", "batch-trace-vcd"}


@pytest.mark.skipif(not available(), reason="apt-get install iverilog")
def test_without_a_difference_nothing_is_written(sound: Path, x: np.ndarray, tmp_path: Path) -> None:
    result = cosim(sound, x[:1], engine="icarus", waves=tmp_path / "waves.fst", around_difference=40)
    assert result.equal and result.waves is None and list(tmp_path.iterdir()) == []
    whole = cosim(sound, x[:1], engine="icarus", waves=tmp_path / "waves.fst", inside=True)
    assert whole.waves is not None and (tmp_path / "waves.fst").read_bytes()[:9] == bytes([0, 0, 0, 0, 0, 0, 0, 1, 73])


def test_a_trace_on_a_full_disk_ends_the_run_and_is_named(broken: Path, x: np.ndarray) -> None:
    manifest = Manifest.load(broken)
    tracing = Tracing(verilog(scopes_of(_units(broken)[1])), "vcd")
    with pytest.raises(ValueError, match="ended with code 3: .*No space left on device"):
        job = _job(broken, x, False, 0)
        list(run_batch(job, compile_batch(broken, manifest, tracing), Children(), Window(Path("/dev/full"))))


def test_what_cannot_be_traced_is_refused_in_one_line(sound: Path, x: np.ndarray, tmp_path: Path) -> None:
    vcd, fst = tmp_path / "w.vcd", tmp_path / "w.fst"
    for match, options in (
        ("w.vcd: engine pyverilator writes none; verilator, icarus, cocotb do$", {"engine": "pyverilator"}),
        ("w.fst: engine cocotb writes .vcd files$", {"engine": "cocotb", "waves": fst}),
        ("w.vcd: engine cocotb traces whole runs", {"engine": "cocotb", "around_difference": 5}),
        ("a trace is of one run, of 3 samples at most, not 6; give fewer samples, or around_diff", {"run_length": 3}),
        ("^around_difference must be 1 to 10000000, got 0$", {"around_difference": 0}),
    ):
        with pytest.raises(ValueError, match=match):
            cosim(sound, x, **{"waves": vcd, **options})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^an FST needs no/such.h \(Debian: such-dev\); a VCD does not$"):
        require_headers("an FST", {"no/such.h": "such-dev"}, "a VCD does not")
    assert list(tmp_path.iterdir()) == []


def test_a_design_without_the_plan_s_streams_is_refused(sound: Path, tmp_path: Path) -> None:
    build = shutil.copytree(sound, tmp_path / "other")
    text = (build / "design.v").read_text().replace("sum2__i1__fifo__o__valid", "sum2__i1__fifo__o__there")
    (build / "design.v").write_text(text)
    with pytest.raises(ValueError, match="the plan's stream sum2__i1__fifo__o__valid of 1 bits is not in the design"):
        _units(build)


def test_no_scope_hides_what_its_references_begin_with() -> None:
    names = ("input_stream", "Harness", "cycle", "waves", "Input_Stream", "harness_", "conv1")
    scopes = scopes_of([Unit(name, "", ()) for name in names])
    found = [scope.name for scope in scopes]
    assert found == ["input_stream", "Harness_", "cycle_", "waves_", "Input_Stream_", "harness__", "conv1"]


def test_a_name_of_several_lines_stays_on_one(tmp_path: Path) -> None:
    scopes = scopes_of([Unit("a", "Contraction a\nexit\n@28\nb", ())])
    view = View(tmp_path / "w.vcd", ROOT, scopes, 0, 9, {0: 0}, ("stage a\nexit", 5), "a")
    assert "\nexit" not in gtkwave(view) + surfer(view)
