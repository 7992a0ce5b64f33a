"""What sections say of a network, and what they let through of the names in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtt_hw.data import Samples, Splits
from qtt_hw.report.counted import Counted
from qtt_hw.report.diagram import Diagram
from qtt_hw.report.page import page
from qtt_hw.report.section import Chart, Grid, Markup, Section
from qtt_hw.report.sections import Inspection, Wishes, sections_of
from qtt_hw.report.subject import Subject, subject_of
from qtt_hw.report.texts import count
from rtl_gen.prediction import Prediction
from sim.on_board import RunResult
from tests.qtt_hw.report.conftest import HOSTILE


def part(sections: list[Section], section: str, key: str) -> Any:
    (found,) = (p for s in sections if s.key == section for p in s.parts if p.key == key)
    return found


@pytest.fixture(scope="module")
def sections(subject: Subject) -> list[Section]:
    return sections_of(subject, Wishes(command="qtt report model.qtt -o report.html"))


def test_sections_have_keys_of_their_own_and_figures_that_are_plotly_s(sections: list[Section]) -> None:
    assert [section.key for section in sections] == ["hardware", "cycles", "resources", "provenance"]
    graph_objects = pytest.importorskip("plotly.graph_objects")
    for section in sections:
        assert len({p.key for p in section.parts}) == len(section.parts)
        for one in section.parts:
            if isinstance(one, Chart):
                figure = json.loads(json.dumps(one.figure, allow_nan=False).replace("var(--", "rgb(").replace(")", ")"))
                assert figure["data"] and all(one.title for one in section.parts)
                for trace in figure["data"]:
                    # Colours are the page's own names, which Plotly would not take.
                    kept = {k: v for k, v in trace.items() if k not in ("marker", "fillcolor", "line")}
                    graph_objects.Figure([kept])
            elif isinstance(one, Grid):
                assert all(len(row) == len(one.header) for row in one.rows)


def test_the_drawing_has_every_unit_and_its_details(subject: Subject, sections: list[Section]) -> None:
    drawn = part(sections, "hardware", "network")
    assert isinstance(drawn, Markup)
    items = Diagram(subject.specs, subject.topology, subject.plan.input_lanes).items
    assert drawn.html.count('class="unit"') == len(items) == drawn.html.count("hidden>")
    kinds = [item.kind for item in items]
    assert kinds.count("stage") == len(subject.specs) and kinds.count("fifo") == len(subject.plan.fifos) > 0
    assert "fork" in kinds and kinds[0] == "input" and kinds[-1] == "argmax"
    fifo = subject.plan.fifos[0]
    assert f"{fifo.depth} \u00d7 {fifo.width} bit" in drawn.html


def test_the_parts_of_an_interval_add_up(subject: Subject, sections: list[Section]) -> None:
    rows = part(sections, "cycles", "stages").rows
    assert [row[0] for row in rows] == [spec.node.name for spec in subject.specs]
    assert [row[1] for row in rows] == [spec.cycles for spec in subject.specs]
    traces = part(sections, "cycles", "timeline").figure["data"]
    assert [trace["type"] for trace in traces] == ["scatter"] * 4 + ["heatmap"]
    texts = traces[-1]["text"]
    assert len(texts) == len(subject.specs) + 2 and len({len(row) for row in texts}) == 1
    assert any("waits" in text for row in texts for text in row)


def test_memories_and_their_block_rams_are_the_plan_s(subject: Subject, sections: list[Section]) -> None:
    rows = part(sections, "resources", "memories").rows
    blocks = sum(row[7] or 0 for row in rows)
    assert blocks == sum(stage.brams for stage in subject.plan.stages) + sum(fifo.brams for fifo in subject.plan.fifos)
    assert {"ring of inputs", "weights", "output queue", "FIFO"} <= {row[1] for row in rows}


def test_provenance_says_the_digest_and_the_commands(subject: Subject, sections: list[Section]) -> None:
    assert [row for row in part(sections, "provenance", "files").rows if subject.digest in row]
    commands = part(sections, "provenance", "commands").html
    assert "qtt plan " in commands and "$ qtt report model.qtt -o report.html" in commands


def test_names_that_are_markup_stay_text(hostile: Path) -> None:
    subject = subject_of(hostile, device="ecp5-25f", fps=20_000, neighbours=False)
    found = sections_of(subject)
    text = page(subject.graph.name, f"Model {HOSTILE}", HOSTILE, [(HOSTILE, HOSTILE)], found)
    assert "onerror=alert(1)&gt;" in text and "<img src=x" not in text and "</script><" not in text.split("<main>")[0]
    for section in found:
        for one in section.parts:
            if isinstance(one, Chart):  # Plotly reads a little markup in texts
                shown = json.dumps(one.figure)
                assert "<img" not in shown and "<b>" not in shown
            elif isinstance(one, Markup):  # also of what is left of a name that is cut
                assert "<img" not in one.html and "<b>" not in one.html


def test_what_is_read_and_planned_is_named_where_it_is_wrong(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none: there is no such model, BUILD or run"):
        subject_of(tmp_path / "none")
    with pytest.raises(ValueError, match="is neither a BUILD that qtt emit wrote nor a run of qtt train"):
        subject_of(tmp_path)
    with pytest.raises(ValueError, match="device ecp5-25f: stands in the plan p.json; give one of both"):
        subject_of(model, device="ecp5-25f", plan="p.json")


def test_the_commands_make_the_plan_that_is_shown(model: Path, tmp_path: Path) -> None:
    fast = subject_of(model, device="ecp5-25f", fps=20_000, clock_mhz=80, neighbours=False)
    commands = part(sections_of(fast), "provenance", "commands").html
    assert "qtt plan" in commands and "--device ecp5-25f --fps 20000 --clock-mhz 80 -o plan.json" in commands
    with pytest.raises(ValueError, match="clock_mhz 80: stands in the plan p.json; give one of both"):
        subject_of(model, clock_mhz=80, plan="p.json")


def test_an_inspection_is_of_this_network(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "inspection.json"
    path.write_text('{"layers": [{"layer": "other", "alone": {"accuracy": 0}, "without": {"accuracy": 0}}]}')
    x = np.zeros((2, *subject.graph.input.sample_shape), np.uint8)
    samples = Samples(x, np.zeros(2, np.int64))
    labels = tuple(map(str, range(subject.classes)))
    data = Splits(samples, samples, samples, "zeros", labels)
    with pytest.raises(ValueError, match="inspection.json: layer other: is none of "):
        sections_of(subject, Wishes(data, inspection=Inspection.read(path)))


def test_what_is_no_inspection_is_said_before_anything_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('{"rows": []}')
    with pytest.raises(ValueError, match="rows.json: layers"):
        Inspection.read(path)


def run_of(subject: Subject, path: Path, **changes: object) -> Path:
    """What `qtt run --json` prints of a board with the subject's design, but for what is changed."""
    found = RunResult(
        equal=True,
        samples=3,
        first_difference=None,
        classes=(1, 2, 3),
        whole=True,
        latency=subject.plan.latency,
        cycles=subject.plan.cycles,
        predicted=subject.plan.predicted,
        cycles_equal=True,
        first_cycle_difference=None,
        clock_mhz=50.0,
        seconds=1.0,
        samples_per_second=3.0,
        frames=100,
        repeated=2,
        broken=1,
        sent=10_000,
        received=10_000,
    )
    path.write_text(found.model_copy(update=changes).model_dump_json())
    return path


def test_what_a_board_counted_stands_beside_what_is_predicted(subject: Subject, tmp_path: Path) -> None:
    counted = Counted.read(run_of(subject, tmp_path / "run.json", cycles=subject.plan.cycles + 1))
    grid = part(sections_of(subject, Wishes(counted=counted)), "cycles", "counted")
    assert grid.rows[0][1:] == [count(float(subject.plan.cycles) + 1), count(float(subject.plan.cycles))]
    assert not any(one.key == "counted" for one in sections_of(subject)[1].parts)
    other = Prediction.model_validate({"interval": 5, "latency": 9})
    with pytest.raises(ValueError, match="run.json: is of another design"):
        sections_of(subject, Wishes(counted=Counted.read(run_of(subject, tmp_path / "run.json", predicted=other))))
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="run.json: equal: Field required"):
        Counted.read(tmp_path / "run.json")
