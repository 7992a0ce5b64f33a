"""What an engine does in an inference: its program as a time chart, and what each of its stages takes."""

from __future__ import annotations

from collections.abc import Iterator

from qtt_hw.report.figures import BAND, row_names, rows_layout
from qtt_hw.report.look import plain
from qtt_hw.report.section import Chart, Grid
from qtt_hw.report.subject import Subject
from qtt_hw.report.texts import LANES, Row, count, described, escaped, rows_html, share
from rtl_gen.engine.schedule import OUTSIDE, Program
from rtl_gen.engine.spec import EngineSpec

__all__ = ["engine_parts", "engine_text", "folding_rows", "stages_html"]


def engine_text(spec: EngineSpec) -> str:
    """What an engine is, in a few words."""
    return f"{len(spec.names)} stages \u00b7 {spec.folding.simd} \u00d7 {spec.folding.pe} lanes"


def folding_rows(spec: EngineSpec) -> Iterator[tuple[str, object]]:
    """The free choices of an engine."""
    folding, program = spec.folding, spec.program
    yield "lanes", f"{folding.simd} inputs \u00d7 {folding.pe} results = {count(spec.products)} a cycle"
    yield "products", LANES[folding.multiplier]
    yield "multipliers", count(spec.multipliers)
    yield "requantiser", f"{folding.lanes} values a cycle"
    yield "program", f"{count(len(program.jobs))} jobs, {share(program.steps / program.cycles, 1)} of its time in steps"


def stages_html(spec: EngineSpec) -> str:
    """An engine's stages: what each computes, and its part of the steps."""
    found = []
    for stage, work in zip(spec.segment.stages, spec.works, strict=True):
        node, part = stage.node, share(work.cycles / spec.program.steps, 1)
        found.append((node.name, f"{described(node, stage.x, node.output(stage.x))}, {part} of the steps"))
        if stage.sum is not None:
            what = f"adds what {_source(spec, stage.sum.source)} makes to the results of {node.name}"
            found.append((stage.sum.node.name, what))
    return f"<h4>{escaped('Stages')}</h4>{rows_html(found)}"


def _source(spec: EngineSpec, source: int) -> str:
    """What makes a stream that an engine's stages read, in words."""
    if source == OUTSIDE:
        return "the stage before the engine"
    stage = spec.segment.stages[source]
    return stage.node.name if stage.sum is None else stage.sum.node.name


def engine_parts(subject: Subject) -> list[Chart | Grid]:
    """A time chart and a table of each engine."""
    engines = [spec for spec in subject.specs if isinstance(spec, EngineSpec)]
    parts: list[Chart | Grid] = []
    for number, spec in enumerate(engines):
        key = str(number + 1) if len(engines) > 1 else ""
        parts += [_chart(f"program{key}", spec), _table(f"engine{key}", spec)]
    return parts


def _runs(program: Program, stage: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of the jobs of a stage, those that follow each other at once as one."""
    begin = end = -1
    for job, of, start in zip(program.jobs, program.stages, program.starts, strict=True):
        if of != stage:
            continue
        if start != end:
            if end >= 0:
                yield begin, end
            begin = start
        end = start + job.cycles
    yield begin, end


def _chart(key: str, spec: EngineSpec) -> Chart:
    """When the array works for which stage, in one inference whose inputs are there and whose outputs are taken."""
    program = spec.program
    bars = [(row, *run) for row in range(len(spec.nodes)) for run in _runs(program, row)]
    data = {
        "type": "bar",
        "orientation": "h",
        "base": [begin for _, begin, _ in bars],
        "x": [end - begin for _, begin, end in bars],
        "y": [-row - (BAND[0] + BAND[1]) / 2 for row, _, _ in bars],
        "width": BAND[1] - BAND[0],
        "marker": {"color": "var(--work)", "line": {"width": 0}},
        "customdata": [[plain(spec.nodes[row].name), count(begin), count(end)] for row, begin, end in bars],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]} to %{customdata[2]}<extra></extra>",
    }
    beside = [f"{count(work.cycles)} \u00b7 {share(work.cycles / program.steps, 1)}" for work in spec.works]
    layout = rows_layout(
        len(spec.nodes),
        annotations=row_names([node.name for node in spec.nodes], beside),
        xaxis={
            "title": {"text": "cycles of one inference on the array"},
            "range": [0, program.cycles],
            "tickformat": ",d",
            "fixedrange": True,
            "nticks": 6,
        },
        showlegend=False,
        bargap=0,
        hovermode="closest",
    )
    note = (
        f"The order of the {count(len(program.jobs))} jobs is fixed: of the stages that can go on, the one that can "
        "start first, and of several the one nearest to the output. Where neither input nor output makes it wait, "
        f"{count(program.steps)} of {count(program.cycles)} cycles are steps; on the right each stage's."
    )
    return Chart(key, f"What {spec.name} works on", {"data": [data], "layout": layout}, note)


def _table(key: str, spec: EngineSpec) -> Grid:
    rows: list[Row] = []
    for stage, work in zip(spec.segment.stages, spec.works, strict=True):
        ring, useful = spec.layout.ring(stage.source), stage.node.macs(stage.x) / (spec.products * work.cycles)
        rows.append([stage.node.name, len(work.jobs), work.cycles, share(useful, 1), ring.rows, ring.size])
        if stage.sum is not None:
            ring = spec.layout.ring(stage.sum.source)
            rows.append([stage.sum.node.name, None, None, None, ring.rows, ring.size])
    header = ["stage", "jobs", "steps", "of its lanes useful", "rows of its ring", "words of its ring"]
    note = (
        "Lanes are idle where channels do not fill an input word or a result. The ring is the one that is read, which "
        "several stages may share; a sum is done as results leave, and takes no steps."
    )
    return Grid(key, f"Stages of {spec.name}", header, rows, note)
