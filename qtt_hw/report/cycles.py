"""The section on time: one inference by the event model, occupancy, what sets the rate, and what else would buy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qtt_hw.report.counted import Counted, counted_grid
from qtt_hw.report.details import waits_text
from qtt_hw.report.engines import engine_parts
from qtt_hw.report.figures import BAND, row_names, rows_layout
from qtt_hw.report.look import plain
from qtt_hw.report.section import Chart, Grid, Section
from qtt_hw.report.subject import Subject
from qtt_hw.report.texts import Row, count, mean_cycles, share
from rtl_gen.activity import NOBODY, Activity, UnitActivity
from rtl_gen.plan.neighbours import Neighbour
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.rate import Limit
from rtl_gen.prediction import number_of

__all__ = ["cycles_section"]


def cycles_section(subject: Subject, counted: Counted | None = None) -> Section:
    """Where the cycles of an inference go, and what a board counted of them."""
    plan, about = subject.plan, subject.explanation
    text = (
        f"An inference ends every {mean_cycles(plan.cycles)} cycles: "
        f"{count(plan.frames_per_second)} a second at {plan.clock_mhz:g} MHz. "
        f"What sets the rate: {_limit(about.limit)}. "
        f"{_buys(subject)}"
    )
    parts = [_timeline(subject), _occupancy(subject), _stages(subject), *engine_parts(subject), _beside(subject)]
    parts.append(None if counted is None else counted_grid(subject, counted))
    return Section("cycles", "Where the cycles go", text, [part for part in parts if part is not None])


def _limit(limit: Limit) -> str:
    """What sets the rate, in words, with its part of the interval."""
    what = limit.words + (f", {limit.stage}" if limit.kind == "stage" else "")
    if limit.kind in ("fifo", "ring", "queue"):
        return f"{what}; with a deeper one it would be {count(number_of(limit.cycles))} cycles"
    return f"{what}, {share(limit.share, 1)} of the interval"


_NAMES = {"dsps": "multipliers", "brams": "block RAMs", "luts": "LUTs", "ffs": "flip-flops"}


def _buys(subject: Subject) -> str:
    """What the next larger plan takes more, and how much faster it is."""
    beside = subject.explanation.neighbours
    if beside is None:
        return ""
    if beside.larger is None:
        return "No plan that is faster was found."
    plan, larger = subject.plan, beside.larger
    more = [
        f"{count(gap)} {name if gap != 1 else name[:-1]}"
        for field, name in _NAMES.items()
        if field != "ffs" and (gap := getattr(larger, field) - getattr(plan, field)) > 0
    ]
    faster = share(larger.frames_per_second / plan.frames_per_second - 1, 1)
    what = " and ".join([", ".join(more[:-1]), more[-1]] if len(more) > 1 else more) or "no more hardware"
    if larger.fits:
        return f"The next larger plan takes {what} more and is {faster} faster; anything less buys nothing."
    lacking = " or ".join(_NAMES[name] for name in beside.budgets)
    return f"The next larger plan would take {what} more and be {faster} faster, but the device lacks {lacking}."


def _timeline(subject: Subject) -> Chart:
    """Of each unit, stretch by stretch, the part in which it works, and that in which it waits."""
    steady = subject.activity
    activity, period = steady.inference, steady.period
    names = [subject.name(unit.stage) for unit in activity.units]
    kinds: list[tuple[str, str, list[tuple[Any, Any]]]] = [
        ("makes steps for this inference", "var(--work)", []),
        ("for those before and after it", "var(--work-other)", []),
        ("waits for words", "var(--starved)", []),
        ("waits for room", "var(--stalled)", []),
    ]
    for unit in activity.units:
        works, starved = unit.works / activity.length, unit.starved / activity.length
        own = _own(activity, unit)
        bands = [
            (np.zeros_like(works), np.where(own, works, 0)),
            (np.zeros_like(works), np.where(own, 0, works)),
            (works, works + starved),
            (works + starved, np.ones_like(works)),
        ]
        for (_, _, rows), band in zip(kinds, bands, strict=True):
            rows.append(band)
    data: list[dict[str, Any]] = [
        _polygons(name, colour, rows, activity, activity.first) for name, colour, rows in kinds
    ]
    data.append(_hover(subject, activity))
    beside = [share(int(unit.works.sum()) / period.length) for unit in period.units]
    span = activity.last + 1 - activity.first
    layout = rows_layout(
        len(names),
        annotations=row_names(names, beside),
        xaxis={
            "title": {"text": "cycles since its first input word"},
            "range": [0, activity.length * activity.stretches],
            "tickformat": ",d",
            "fixedrange": True,
            "nticks": 6,
        },
        hovermode="closest",
    )
    note = (
        f"From its first input word to its last output word it is {count(span)} cycles in the machine, while others "
        "are before and behind it; the first of all, which finds everything empty, takes "
        f"{count(subject.plan.latency)}. On the right the part of an interval in which a unit makes a step."
    )
    if not steady.settled:
        note += " Buffers still fill here: not everything repeats yet."
    return Chart("timeline", "One inference in steady state", {"data": data, "layout": layout}, note)


def _own(activity: Activity, unit: UnitActivity) -> Any:
    """In which stretches a unit's steps are for the inference that is looked at."""
    centres = activity.begin + activity.length * (np.arange(activity.stretches) + 0.5)
    return (centres > unit.since) & (centres <= unit.until)


def _polygons(name: str, colour: str, rows: list[tuple[Any, Any]], activity: Activity, origin: int) -> dict[str, Any]:
    """One trace of the bands of all rows, each between a lower and an upper part of its row's band."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    edges = activity.begin - origin + activity.length * np.arange(activity.stretches + 1)
    for row, (lower, upper) in enumerate(rows):
        for first, last in _runs(upper > lower):
            x = np.repeat(edges[first : last + 1], 2)[1:-1]
            top, bottom = np.repeat(upper[first:last], 2), np.repeat(lower[first:last], 2)
            for line, there in ((top, x), (bottom[::-1], x[::-1])):
                kept = _corners(line)
                xs += [int(value) for value in there[kept]]
                ys += [round(float(value), 4) for value in -row - BAND[1] + (BAND[1] - BAND[0]) * line[kept]]
            xs.append(None)
            ys.append(None)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": xs,
        "y": ys,
        "fill": "toself",
        "fillcolor": colour,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


def _runs(there: Any) -> Iterator[tuple[int, int]]:
    """(first, behind the last) of neighbours that are all there."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _corners(line: Any) -> Any:
    """Points of a stepped line at which it turns."""
    inner = (line[1:-1] != line[:-2]) | (line[1:-1] != line[2:])
    return np.concatenate([[True], inner, [True]])


def _hover(subject: Subject, activity: Activity) -> dict[str, Any]:
    """An unseen map of the stretches that says what a unit does in each."""
    texts = []
    for unit in activity.units:
        row = []
        for number in range(activity.stretches):
            begin = activity.begin - activity.first + number * activity.length
            row.append(
                f"{count(begin)} to {count(begin + activity.length)}<br>{_does(subject, activity, unit, number)}"
            )
        texts.append(row)
    centre = -(BAND[0] + BAND[1]) / 2
    return {
        "type": "heatmap",
        "x": [activity.begin - activity.first + (n + 0.5) * activity.length for n in range(activity.stretches)],
        "y": [centre - row for row in range(len(texts))],
        "z": [[0] * activity.stretches] * len(texts),
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "colorscale": [[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0)"]],
        "showscale": False,
        "showlegend": False,
    }


def _does(subject: Subject, activity: Activity, unit: UnitActivity, number: int) -> str:
    """What a unit does in a stretch."""
    found = [f"works {share(unit.works[number] / activity.length)}"] if unit.works[number] else []
    for cycles, by, what in ((unit.starved, unit.starved_by, "words of"), (unit.stalled, unit.stalled_by, "room in")):
        if cycles[number]:
            one = int(by[number])
            who = "its own unfolding" if one == unit.stage else "nobody" if one == NOBODY else plain(subject.name(one))
            found.append(f"waits {share(cycles[number] / activity.length)} for {what} {who}")
    return "<br>".join(found)


def _occupancy(subject: Subject) -> Chart | None:
    """Lanes side by side, as wide as they are many, as high as they are occupied."""
    about = subject.explanation
    if about.occupancy is None:
        return None
    stages = [stage for stage in about.stages if stage.lanes]
    starts = np.cumsum([0, *(stage.lanes for stage in stages)])
    bars = {
        "type": "bar",
        "x": [float(start) + stage.lanes / 2 for start, stage in zip(starts, stages, strict=False)],
        "y": [stage.occupancy for stage in stages],
        "width": [stage.lanes for stage in stages],
        "marker": {"color": "var(--work)", "line": {"color": "var(--panel)", "width": 1}},
        "customdata": [[plain(stage.stage), stage.lanes] for stage in stages],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]} lanes, %{y:.1%} occupied<extra></extra>",
        "name": "",
        "showlegend": False,
    }
    line = {"color": "var(--ink)", "width": 1, "dash": "dot"}
    layout = {
        "height": 280,
        "margin": {"l": 44, "r": 8, "t": 16, "b": 44},
        "xaxis": {"title": {"text": "lanes, stage by stage"}, "range": [0, about.lanes], "fixedrange": True},
        "yaxis": {"tickformat": ".0%", "range": [0, 1.02], "fixedrange": True},
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": about.occupancy,
                "y1": about.occupancy,
                "line": line,
            }
        ],
        "annotations": [
            {
                "xref": "paper",
                "x": 1,
                "xanchor": "right",
                "y": about.occupancy,
                "yanchor": "bottom",
                "showarrow": False,
                "text": f"all lanes {share(about.occupancy, 1)}",
                "font": {"size": 11},
            }
        ],
        "bargap": 0,
    }
    note = (
        "A lane forms a product a step. Each bar is as wide as its stage has lanes and as high as they are of use: "
        "what is filled is useful products, what is empty would be those of an interval that nobody needs."
    )
    return Chart("occupancy", "Occupancy of the lanes", {"data": [bars], "layout": layout}, note)


def _stages(subject: Subject) -> Grid:
    period = subject.activity.period
    rows: list[Row] = []
    for number, (stage, about) in enumerate(zip(subject.units, subject.explanation.stages, strict=True)):
        does = waits_text(subject, period.units[number + 1], period.length)
        rows.append(
            [
                about.stage,
                stage.cycles,
                share(about.busy, 1),
                about.lanes,
                share(about.occupancy, 1),
                does,
                about.reason,
            ]
        )
    header = ["stage", "steps", "busy", "lanes", "occupancy", "waits", "why not smaller"]
    note = (
        "For whom a stage waits, in parts of the interval, once everything repeats; and what keeps one that has time "
        "left from being smaller, such as foldings, which divide channels."
    )
    return Grid("stages", "Stage by stage", header, rows, note)


def _beside(subject: Subject) -> Grid | None:
    beside, plan = subject.explanation.neighbours, subject.plan
    if beside is None:
        return None

    def row(name: str, one: Plan | Neighbour) -> Row:
        gap = one.frames_per_second / plan.frames_per_second - 1
        faster = "\u2013" if one is plan else ("+" if gap > 0 else "\u2212") + share(abs(gap), 1)
        return [name, number_of(one.cycles), round(one.frames_per_second), faster, one.dsps, one.brams, one.luts]

    rows = [
        row(name, one)
        for name, one in (("next smaller", beside.smaller), ("this plan", plan), ("next larger", beside.larger))
        if one
    ]
    for saving in subject.saved:
        what = "weights" if saving.name == "weight_bits" else "activations"
        less = (plan.dsps - saving.dsps, plan.brams - saving.brams, plan.luts - saving.luts)
        rows.append(
            [f"{what} of {saving.bits} bit", number_of(plan.cycles), round(plan.frames_per_second), "\u2013", *less]
        )
    header = ["", "cycles", "frames/s", "rate", "DSP", "block RAM", "LUT"]
    note = (
        "The fastest plan that is cheaper and the cheapest that is faster. Of a bit less, what the search saves at the "
        "same rate; what it does to accuracy is another question."
    )
    return Grid("beside", "What more would buy, and less would save", header, rows, note)
