"""The section on resources: planned against placed, stage by stage, the memory map and the critical paths."""

from __future__ import annotations

from typing import Any

from qtt_hw.report.details import RESOURCES, filled, home, stored
from qtt_hw.report.figures import BAND, row_names, rows_layout
from qtt_hw.report.look import plain
from qtt_hw.report.section import Chart, Grid, Section
from qtt_hw.report.subject import Placed, Subject
from qtt_hw.report.texts import Row, count, share
from rtl_gen.kinds import Store

__all__ = ["resources_section"]

#: Most memories that are drawn; all stand in the table.
MOST_DRAWN = 24


def resources_section(subject: Subject) -> Section:
    """What the network takes of the device."""
    plan, device = subject.plan, subject.device
    parts = [f"{count(getattr(plan, name))} {title}" for name, title in RESOURCES.items()]
    text = f"The plan takes {', '.join(parts[:-1])} and {parts[-1]} of {device.name}."
    if subject.placed:
        text += " Beside it stands what yosys and nextpnr made of it, the board's link and its own parts included."
    elif subject.kind == "build":
        text += " It has not been placed: qtt build would put what it really takes, and its clock, beside the plan."
    memories = _memories(subject)
    found = [
        _device(subject),
        _by_stage(subject),
        _blocks(subject, memories),
        _memory_map(subject, memories),
        _placements(subject),
        *(_paths(placed) for placed in subject.placed),
    ]
    return Section("resources", "Resources", text, [part for part in found if part is not None])


def _device(subject: Subject) -> Chart:
    """Planned and placed, each as a part of what the device has."""
    plan, device = subject.plan, subject.device
    names = list(RESOURCES)
    made: list[tuple[str, str, dict[str, int]]] = [
        ("planned", "var(--work)", {name: getattr(plan, name) for name in names})
    ]
    for placed in subject.placed:
        result = placed.result
        made.append((f"placed on {result.board}", "var(--other)", {name: getattr(result, name) for name in names}))
    there = {name: getattr(device, name) or max(one[name] for _, _, one in made) or 1 for name in names}
    height = (BAND[1] - BAND[0]) / len(made)
    data: list[dict[str, Any]] = []
    for number, (title, colour, taken) in enumerate(made):
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": plain(title),
                "x": [taken[name] / there[name] for name in names],
                "y": [-row - BAND[0] - (number + 0.5) * height for row in range(len(names))],
                "width": height * 0.86,
                "marker": {"color": colour},
                "customdata": [[count(taken[name]), count(there[name]), RESOURCES[name]] for name in names],
                "hovertemplate": "%{customdata[0]} of %{customdata[1]} %{customdata[2]}, %{x:.1%}<extra></extra>",
            }
        )
    beside = []
    for name in names:
        counts = " / ".join(count(taken[name]) for _, _, taken in made)
        beside.append(f"{counts} of {count(there[name])}" if getattr(device, name) else counts)
    most = max(1.0, *(taken[name] / there[name] for _, _, taken in made for name in names))
    layout = rows_layout(
        len(names),
        annotations=row_names([RESOURCES[name] for name in names], beside),
        xaxis={"tickformat": ".0%", "range": [0, most], "fixedrange": True},
        showlegend=len(made) > 1,
        bargap=0,
    )
    note = (
        "As parts of the device; LUTs as nextpnr counts them, of an ECP5 in TRELLIS_COMB. Multipliers and block "
        "RAMs come out as planned but for what the board's link takes; LUTs and flip-flops are an estimate."
    )
    title = "Planned against placed" if subject.placed else "Planned"
    return Chart("device", title, {"data": data, "layout": layout}, note)


def _by_stage(subject: Subject) -> Chart:
    """Which stage takes which part of what the plan takes."""
    plan = subject.plan
    units = subject.units
    names = [spec.name for spec in subject.specs]
    kinds = (
        ("dsps", "multipliers", "var(--work)"),
        ("brams", "block RAMs", "var(--join)"),
        ("luts", "LUTs", "var(--pool)"),
    )
    shown = [kind for kind in kinds if getattr(plan, kind[0])]
    height = (BAND[1] - BAND[0]) / len(shown)
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": title,
            "x": [getattr(stage, name) / getattr(plan, name) for stage in units],
            "y": [-row - BAND[0] - (number + 0.5) * height for row in range(len(names))],
            "width": height * 0.9,
            "marker": {"color": colour},
            "customdata": [[count(getattr(stage, name)), title] for stage in units],
            "hovertemplate": "%{customdata[0]} %{customdata[1]}, %{x:.1%} of the plan's<extra></extra>",
        }
        for number, (name, title, colour) in enumerate(shown)
    ]
    beside = [
        " \u00b7 ".join(f"{count(value)} {unit}" for value, unit in _taken(stage) if value) or "\u2013"
        for stage in units
    ]
    layout = rows_layout(
        len(names),
        annotations=row_names(names, beside),
        xaxis={"tickformat": ".0%", "rangemode": "tozero", "fixedrange": True},
        bargap=0,
    )
    note = "As parts of what the whole plan takes, which has FIFOs, forks and the board's link beside the stages."
    return Chart("by-stage", "Which stage takes what", {"data": data, "layout": layout}, note)


def _taken(stage: Any) -> tuple[tuple[int, str], ...]:
    return (stage.dsps, "DSP"), (stage.brams, "BRAM"), (stage.luts, "LUT")


def _memories(subject: Subject) -> list[tuple[str, Store]]:
    """Every memory: of the stages, and the FIFOs between them."""
    found = [(spec.name, store) for spec in subject.specs for store in spec.stores()]
    return found + [(fifo.stage, Store("FIFO", fifo.depth, fifo.width)) for fifo in subject.plan.fifos]


def _blocks(subject: Subject, memories: list[tuple[str, Store]]) -> Chart | None:
    """The memories in block RAM, the largest first, and how much of it they fill."""
    family = subject.family
    large = [(stage, store, store.blocks(family)) for stage, store in memories if store.blocks(family)]
    if not large:
        return None
    large.sort(key=lambda memory: -memory[2])
    shown = large[:MOST_DRAWN]
    parts = [filled(subject, store) or 0.0 for _, store, _ in shown]
    rows = [-row - (BAND[0] + BAND[1]) / 2 for row in range(len(shown))]
    common = {"type": "bar", "orientation": "h", "y": rows, "width": (BAND[1] - BAND[0]) * 0.8}
    texts = [stored(subject, store) for _, store, _ in shown]
    hover = {"text": texts, "hovertemplate": "%{text}<extra></extra>", "textposition": "none"}
    data = [
        {
            **common,
            **hover,
            "name": "filled",
            "x": [blocks * part for (_, _, blocks), part in zip(shown, parts, strict=True)],
            "marker": {"color": "var(--join)"},
        },
        {
            **common,
            **hover,
            "name": "empty",
            "x": [blocks * (1 - part) for (_, _, blocks), part in zip(shown, parts, strict=True)],
            "marker": {"color": "var(--track)"},
        },
    ]
    names = [f"{stage}, {store.purpose}" for stage, store, _ in shown]
    beside = [f"{count(blocks)} \u00b7 {share(part)}" for (_, _, blocks), part in zip(shown, parts, strict=True)]
    layout = rows_layout(
        len(shown),
        barmode="stack",
        bargap=0,
        annotations=row_names(names, beside),
        xaxis={
            "title": {"text": "block RAMs"},
            "rangemode": "tozero",
            "fixedrange": True,
            "dtick": max(1, -(-shown[0][2] // 6)),
        },
    )
    total = sum(blocks for _, _, blocks in large)
    note = (
        f"{count(total)} block RAMs of {count(len(large))} memories; what is filled are words that are there, what is "
        f"empty are the depths and widths that a {family.memory.cell} has and the memory does not need."
    )
    rest = subject.plan.brams - total
    if rest > 0:
        note += f" {count(rest)} more of the plan {'is' if rest == 1 else 'are'} for the host's link."
    if len(large) > len(shown):
        note += f" The {len(shown)} largest; all stand in the table."
    return Chart("blocks", "Block RAM", {"data": data, "layout": layout}, note)


def _memory_map(subject: Subject, memories: list[tuple[str, Store]]) -> Grid:
    rows: list[Row] = []
    for stage, store in memories:
        blocks = store.blocks(subject.family)
        bits = store.copies * store.words * store.width
        rows.append(
            [
                stage,
                store.purpose,
                store.copies,
                store.words,
                store.width,
                bits,
                home(subject, store),
                blocks or None,
                share(filled(subject, store)),
            ]
        )
    header = ["stage", "holds", "copies", "words", "bits of a word", "bits", "in", "block RAMs", "filled"]
    return Grid("memories", "Memory map", header, rows)


def _placements(subject: Subject) -> Grid | None:
    """What each seed of each placement came to."""
    rows: list[Row] = []
    for placed in subject.placed:
        result = placed.result
        for seed in result.seeds.tried:
            kept = "kept" if seed.seed == result.seed else ""
            reached = None if seed.fmax_mhz is None else round(seed.fmax_mhz, 1)
            rows.append(
                [result.board, seed.seed, reached, round(result.clock_mhz, 1), result.placer, seed.failure or kept]
            )
    header = ["board", "seed", "fmax, MHz", "wanted, MHz", "placer", ""]
    return Grid("placements", "Placements", header, rows) if rows else None


def _paths(placed: Placed) -> Grid | None:
    """The slowest paths, by stage."""
    result = placed.result
    if not result.paths:
        return None
    rows: list[Row] = [
        [path.start, path.end, " \u2192 ".join(path.through), path.total_ns, path.logic_ns, path.routing_ns]
        for path in result.paths
    ]
    header = ["from", "to", "through", "ns", "logic, ns", "routing, ns"]
    note = (
        "From which register or memory of which stage to which: the slowest within the clock, which sets it, and the "
        "slowest from and to pins."
    )
    return Grid(f"paths-{result.board}", f"Critical paths, {result.board}", header, rows, note)
