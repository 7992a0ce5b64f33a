"""The network's hardware drawn as inline SVG: boxes of stages, forks and FIFOs, and the streams between them."""

from __future__ import annotations

from collections.abc import Sequence

from qtt_hw.report.details import detail, item_title, whole_network
from qtt_hw.report.diagram import Diagram, Item, Stream
from qtt_hw.report.engines import engine_text
from qtt_hw.report.layout import Layout, Point, layered
from qtt_hw.report.subject import Subject
from qtt_hw.report.texts import count, described, escaped, group_of, share
from rtl_gen.engine.spec import EngineSpec

__all__ = ["drawing"]

#: Width and height of boxes.
BOXES = {
    "input": (176.0, 38.0),
    "argmax": (176.0, 38.0),
    "stage": (320.0, 72.0),
    "fork": (12.0, 12.0),
    "fifo": (112.0, 42.0),
    "split": (124.0, 26.0),
    "gather": (124.0, 26.0),
}
#: Free of anything around the drawing.
MARGIN = 10.0
#: Characters of a name and of a description that a box has room for.
LONGEST_NAME, LONGEST_TEXT = 34, 44


def drawing(subject: Subject) -> str:
    """The drawing, and beside it what is told of each of its items, of which one at a time is shown."""
    diagram = Diagram(subject.specs, subject.topology, subject.plan.input_lanes)
    layout = layered(
        {number: BOXES[item.kind] for number, item in enumerate(diagram.items)},
        [(stream.start, stream.end) for stream in diagram.streams],
    )
    streams = "".join(
        _stream(diagram, stream, points) for stream, points in zip(diagram.streams, layout.lines, strict=True)
    )
    items = "".join(_item(subject, item, number, layout.places[number]) for number, item in enumerate(diagram.items))
    details = "".join(
        f'<article id="unit-{number}" hidden><h3>{escaped(item_title(subject, item))}</h3>'
        f"{detail(subject, item)}</article>"
        for number, item in enumerate(diagram.items)
    )
    whole = f"<h3>{escaped(subject.graph.name)}</h3>{whole_network(subject)}"
    return (
        f'<div class="hardware"><div class="canvas" tabindex="0" role="group" aria-label="The network as hardware">'
        f'{_svg(layout, streams + items)}</div><aside class="detail" aria-live="polite">'
        f'<article id="unit-none">{whole}</article>{details}</aside></div>{_legend()}'
    )


def _svg(layout: Layout, inner: str) -> str:
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    return (
        f'<svg class="network" width="{width:.0f}" height="{height:.0f}" viewBox="{-MARGIN:g} {-MARGIN:g} '
        f'{width:.1f} {height:.1f}" xmlns="http://www.w3.org/2000/svg">{inner}</svg>'
    )


def _legend() -> str:
    kinds = (("contraction", "contraction"), ("pool", "pool"), ("join", "join"), ("other", "table, order, slice"))
    times = (("work", "makes a step"), ("starved", "waits for words"), ("stalled", "waits for room"))
    return (
        '<p class="keys">'
        + "".join(f'<span><i class="key {name}"></i>{text}</span>' for name, text in kinds)
        + "<span>bar in a box: one interval</span>"
        + "".join(f'<span><i class="key {name}"></i>{text}</span>' for name, text in times)
        + "</p>"
    )


def _stream(diagram: Diagram, stream: Stream, points: Sequence[Point]) -> str:
    """A line, bent between layers where it cannot be straight; the width of its words beside it."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        middle = (y0 + y1) / 2
        straight = abs(x1 - x0) < 0.5
        path += f"V{y1:.1f}" if straight else f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    # Of a fork's branches the stream before it says it, and behind a FIFO nothing is another.
    if diagram.items[stream.start].kind in ("fork", "fifo"):
        return f'<path class="stream" d="{path}"/>'
    (x0, y0), (x1, y1) = points[0], points[1]
    text = f"{stream.lanes} \u00d7 {stream.bits} bit" if stream.lanes > 1 else f"{stream.bits} bit"
    return (
        f'<path class="stream" d="{path}"><title>{count(stream.words)} words an inference</title></path>'
        f'<text class="width" x="{(x0 + x1) / 2 + 7:.1f}" y="{(y0 + y1) / 2 + 3.5:.1f}">{text}</text>'
    )


def _item(subject: Subject, item: Item, number: int, place: Point) -> str:
    width, height = BOXES[item.kind]
    x, y = place[0] - width / 2, place[1] - height / 2
    title = item_title(subject, item)
    if item.kind == "fork":
        inner = '<circle class="hit" cx="6" cy="6" r="14"/><circle class="fork" cx="6" cy="6" r="6"/>'
    elif item.kind == "stage":
        inner = _stage(subject, item.stage)
    else:
        round_ = height / 2 if height < BOXES["fifo"][1] else 6
        inner = f'<rect class="box {item.kind}" width="{width:g}" height="{height:g}" rx="{round_:g}"/>'
        inner += _words(subject, item, width, height)
    return (
        f'<g class="unit" tabindex="0" role="button" data-unit="{number}" aria-label="{escaped(title)}" '
        f'transform="translate({x:.1f} {y:.1f})"><title>{escaped(title)}</title>{inner}</g>'
    )


def _words(subject: Subject, item: Item, width: float, height: float) -> str:
    middle = f'x="{width / 2:g}" text-anchor="middle"'
    if item.kind == "fifo":
        name = subject.name(item.stage)
        fifo = next(f for f in subject.plan.fifos if (f.stage, f.input) == (name, item.input))
        return (
            f'<text class="name" {middle} y="18">FIFO</text>'
            f'<text class="text" {middle} y="33">{count(fifo.depth)} \u00d7 {fifo.width} bit</text>'
        )
    if item.kind in ("split", "gather"):
        text = f"{item.kind} {item.before} \u2192 {item.after}"
        return f'<text class="text" {middle} y="{height / 2 + 4:g}">{text}</text>'
    return f'<text class="name" {middle} y="{height / 2 + 4.5:g}">{item.kind.capitalize()}</text>'


def _stage(subject: Subject, stage: int) -> str:
    """Name and what it computes; its part of the interval and of the device; a bar of what it does in an interval."""
    width, height = BOXES["stage"]
    spec, plan, about = subject.specs[stage], subject.units[stage], subject.explanation.stages[stage]
    text = engine_text(spec) if isinstance(spec, EngineSpec) else described(spec.node, spec.inputs[0], spec.out)
    counts = [(plan.dsps, "DSP"), (plan.brams, "BRAM"), (plan.luts, "LUT")]
    taken = " \u00b7 ".join(f"{count(value)} {name}" for value, name in counts if value)
    period = subject.activity.period
    unit, left = period.units[stage + 1], 0.0
    bar, inner = width - 24, []
    for name, cycles in (("work", unit.works), ("starved", unit.starved), ("stalled", unit.stalled)):
        part = bar * int(cycles.sum()) / period.length
        if part > 0:
            inner.append(f'<rect class="{name}" x="{14 + left:.1f}" y="60" width="{part:.1f}" height="4"/>')
        left += part
    return (
        f'<rect class="box" width="{width:g}" height="{height:g}" rx="6"/>'
        f'<rect class="stripe {group_of(spec.node)}" width="4" height="{height:g}" rx="2"/>'
        f'<text class="name" x="14" y="21">{_name(spec.name)}</text>'
        f'<text class="num" x="{width - 10:g}" y="21" text-anchor="end">{share(about.busy)}</text>'
        f'<text class="text" x="14" y="38">{escaped(_short(text, LONGEST_TEXT))}</text>'
        f'<text class="text" x="14" y="52">{escaped(taken)}</text>{"".join(inner)}'
    )


def _name(name: str) -> str:
    """A stage's name, its last part the strongest; a long one loses its beginning."""
    kept = name if len(name) <= LONGEST_NAME else "\u2026" + name[-LONGEST_NAME + 1 :]
    before, dot, last = kept.rpartition(".")
    return f'<tspan class="before">{escaped(before + dot)}</tspan>{escaped(last)}'


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "\u2026"
