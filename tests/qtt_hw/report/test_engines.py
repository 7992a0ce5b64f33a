"""A plan with an engine in the report: what its stages take, and its program as a time chart."""

from __future__ import annotations

from pathlib import Path

import pytest

from qtt_hw.graph.file import load
from qtt_hw.report.engines import _table, engine_text, stages_html
from qtt_hw.report.section import Chart, Grid, Markup
from qtt_hw.report.sections import Wishes, sections_of
from qtt_hw.report.subject import Subject, subject_of
from rtl_gen.engine.choices import engine_of
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.plan.derive import derived
from rtl_gen.plan.plan import save_plan

MODEL = Path("models/voxtt-modelnet10.qtt")


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """The ModelNet10 network with all but its first stage on one array."""
    graph = load(MODEL)
    first, *rest = (node for node in graph.nodes if not node.relabels)
    alone = Folding(simd=8, pe=4, lanes=1, ring=2048, queue=32, multiplier="logic")
    engine = engine_of(Segment.of(graph, [node.name for node in rest]), 8, 4, ECP5)
    specs = [spec_of(first, (graph.edges[first.inputs[0]],), alone, ECP5), engine]
    path = tmp_path_factory.mktemp("engine") / "plan.json"
    save_plan(derived(graph, specs, "ecp5-25f", 100.0), path)
    return subject_of(MODEL, plan=path, neighbours=False)


def test_an_engine_has_a_chart_of_its_program_and_a_table_of_its_stages(subject: Subject) -> None:
    sections = {s.key: s for s in sections_of(subject, Wishes(command="qtt report model.qtt -o report.html"))}
    engine = subject.specs[1]
    assert isinstance(engine, EngineSpec)
    chart, table = (next(p for p in sections["cycles"].parts if p.key == key) for key in ("program", "engine"))
    assert isinstance(chart, Chart) and isinstance(table, Grid)
    (bars,) = chart.figure["data"]
    assert sum(bars["x"]) == engine.program.steps and max(bars["base"]) < engine.program.cycles
    assert [row[0] for row in table.rows] == list(engine.names)
    assert sum(row[2] for row in table.rows) == engine.program.steps  # type: ignore[misc]
    drawn = sections["hardware"].parts[0]
    assert isinstance(drawn, Markup) and all(name in drawn.html for name in engine.names)
    assert "21 stages in 2 units" in sections["hardware"].text


def test_memories_of_an_engine_are_all_its_block_rams(subject: Subject) -> None:
    engine = subject.specs[1]
    assert sum(store.blocks(ECP5) for store in engine.stores()) == engine.resources().brams


def test_every_cycle_is_a_step_or_a_wait(subject: Subject) -> None:
    period = subject.activity.period
    for unit in period.units[1:-1]:
        assert sum(int(part.sum()) for part in (unit.works, unit.starved, unit.stalled)) <= period.length
    assert int(period.units[2].works.sum()) == subject.specs[1].program.steps  # type: ignore[attr-defined]


def test_sums_say_what_they_add() -> None:
    graph = load(Path("models/resnet20-cifar10.qtt"))
    names = [node.name for node in graph.nodes]
    first, last = names.index("stages.0.1.conv1"), names.index("stages.0.2.add")
    engine = engine_of(Segment.of(graph, names[first : last + 1]), 4, 4, ECP5)
    html = stages_html(engine)
    assert "adds what the stage before the engine makes to the results of stages.0.1.conv2" in html
    assert "adds what stages.0.1.add makes to the results of stages.0.2.conv2" in html
    assert [row[0] for row in _table("engine", engine).rows] == list(engine.names)
    assert engine_text(engine).startswith("6 stages")
