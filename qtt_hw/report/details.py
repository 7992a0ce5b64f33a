"""What is told of a unit when it is clicked in the drawing: its layer, numbers, folding, memories and share."""

from __future__ import annotations

from collections.abc import Iterator

from qtt_hw.graph import Contraction, Edge
from qtt_hw.report.diagram import Item
from qtt_hw.report.engines import folding_rows, stages_html
from qtt_hw.report.subject import Subject
from qtt_hw.report.texts import LANES, count, described, escaped, format_text, rows_html, share, sizes
from rtl_gen.activity import NOBODY, UnitActivity
from rtl_gen.costs.streams import argmax, fork, gatherer, splitter
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import Resources
from rtl_gen.fifo import fifo_resources
from rtl_gen.kinds import Spec, Store
from rtl_gen.network import edge_at
from rtl_gen.plan.limits import usable
from rtl_gen.topology import Reader

__all__ = ["RESOURCES", "detail", "item_title", "shares_html", "stored", "waits_text", "whole_network"]

#: Resources of a device, and what one is called.
RESOURCES = {"dsps": "multipliers", "brams": "block RAMs", "luts": "LUTs", "ffs": "flip-flops"}


def item_title(subject: Subject, item: Item) -> str:
    """What an item is called."""
    stage = subject.name(item.stage)
    return {
        "input": "Input",
        "stage": stage,
        "argmax": "Argmax",
        "fork": f"Fork of {stage}",
        "fifo": f"FIFO before {stage}",
        "split": f"Split before {stage}",
        "gather": f"Gather before {stage}",
    }[item.kind]


def shares_html(subject: Subject, taken: Resources) -> str:
    """Bars of what is taken of the device, and of how much of it there is."""
    found = []
    for name, title in RESOURCES.items():
        used, there = getattr(taken, name), getattr(subject.device, name)
        part = used / there if there else 0.0
        of = f" of {count(there)} \u00b7 {share(part, 1)}" if there else ""
        found.append(
            f'<div class="share"><span>{title}</span><span class="num">{count(used)}{escaped(of)}</span>'
            f'<i style="--part:{min(part, 1.0):.4f}"></i></div>'
        )
    return f'<div class="shares">{"".join(found)}</div>'


def stored(subject: Subject, store: Store) -> str:
    """A memory in words: its size, where it lives, and what of its block RAMs it fills."""
    copies = f"{store.copies}\u00d7 " if store.copies > 1 else ""
    size = f"{copies}{count(store.words)} words of {count(store.width)} bit"
    blocks = store.blocks(subject.family)
    if not blocks:
        return f"{size}, in {home(subject, store)}"
    return f"{size}, {count(blocks)} block RAM, {share(filled(subject, store))} filled"


def home(subject: Subject, store: Store) -> str:
    """Where a memory lives."""
    if store.single:
        return "memories of one port"
    return "block RAM" if store.blocks(subject.family) else "LUTs"


def filled(subject: Subject, store: Store) -> float | None:
    """The part of a memory's block RAMs that holds its words; None where it lives in LUTs."""
    blocks = store.blocks(subject.family)
    whole = max(width * depth for width, depth in subject.family.memory.shapes)
    return store.words * store.width * store.copies / (blocks * whole) if blocks else None


def waits_text(subject: Subject, unit: UnitActivity, length: int) -> str:
    """For whom a unit waits in a period, and how long."""
    starved, stalled = (int(of.sum()) / length for of in (unit.starved, unit.stalled))
    found = []
    for part, by, what in ((starved, unit.starved_by, "words of"), (stalled, unit.stalled_by, "room in")):
        if part:
            one = int(by[0])
            who = "its own unfolding" if one == unit.stage else subject.name(one) if one != NOBODY else "nobody"
            found.append(f"{share(part, 1)} for {what} {who}")
    return ", ".join(found) or "never"


def _edge(edge: Edge) -> str:
    return f"{sizes(edge.shape)} \u00b7 {format_text(edge.format)}"


def _folding(spec: Spec) -> Iterator[tuple[str, object]]:
    folding = spec.folding
    if spec.products:
        carried = f" \u00d7 {folding.carry} side by side" if folding.carry > 1 else ""
        yield "lanes", f"{folding.simd} inputs \u00d7 {folding.pe} results{carried} = {count(spec.products)} a cycle"
        if spec.weighs:
            yield "products", LANES[folding.multiplier]
        yield "multipliers", count(spec.multipliers)
    else:
        yield "lanes", f"{folding.simd} a cycle"
    yield "values of an output word", folding.lanes
    if folding.unfold:
        yield "unfolded", ("W", "H and W", "D, H and W")[folding.unfold - 1]


def _numbers(spec: Spec) -> Iterator[tuple[str, object]]:
    for number, edge in enumerate(spec.inputs):
        yield "reads" if len(spec.inputs) == 1 else f"reads ({number})", _edge(edge)
    node = spec.node
    if isinstance(node, Contraction):
        yield "weights", f"{sizes(node.weight.shape)} \u00b7 {format_text(node.weight_format)}"
        low, high = node.accumulator(spec.inputs[0])
        yield "sums", f"{count(low)} to {count(high)}"
    yield "puts out", _edge(spec.out)
    macs = node.macs(*spec.inputs)
    if macs:
        yield "multiplications", f"{count(macs)} an inference"


def _stage(subject: Subject, number: int) -> str:
    spec, plan = subject.specs[number], subject.units[number]
    about = subject.explanation.stages[number]
    period = subject.activity.period
    rows: list[tuple[str, object]] = [
        ("layer", spec.node.source),
        ("computes", described(spec.node, spec.inputs[0], spec.out)),
    ]
    time: list[tuple[str, object]] = [
        ("steps", f"{count(spec.cycles)} cycles an inference, {share(about.busy, 1)} of the interval"),
        ("waits", waits_text(subject, period.units[number + 1], period.length)),
    ]
    if about.occupancy is not None:
        time.append(("occupancy of lanes", share(about.occupancy, 1)))
    if about.reason:
        time.append(("why not smaller", about.reason))
    taken = Resources(plan.dsps, plan.brams, plan.luts, plan.ffs)
    memory = [(store.purpose, stored(subject, store)) for store in spec.stores()]
    if isinstance(spec, EngineSpec):
        beginning = [stages_html(spec), f"<h4>Hardware</h4>{rows_html(folding_rows(spec))}"]
    else:
        beginning = [rows_html([*rows, *_numbers(spec)]), f"<h4>Hardware</h4>{rows_html(_folding(spec))}"]
    parts = [
        *beginning,
        f"<h4>Share of {escaped(subject.device.name)}</h4>{shares_html(subject, taken)}",
        f"<h4>Memory</h4>{rows_html(memory)}",
        f"<h4>Time</h4>{rows_html(time)}",
    ]
    return "".join(parts)


def detail(subject: Subject, item: Item) -> str:
    """The markup of a detail panel, without its title."""
    if item.kind == "stage":
        return _stage(subject, item.stage)
    specs = subject.specs
    if item.kind == "input":
        edge, unit = subject.graph.input.edge, subject.activity.period.units[0]
        words = edge.positions * edge.channels // subject.plan.input_lanes
        rows: list[tuple[str, object]] = [
            ("sample", sizes(subject.graph.input.sample_shape)),
            ("stream", _edge(edge)),
            ("words", f"{count(words)} of {subject.plan.input_lanes} values an inference"),
            ("waits", waits_text(subject, unit, subject.activity.period.length)),
        ]
        return rows_html(rows)
    if item.kind == "argmax":
        out = subject.graph.output
        cost = argmax(out.format.bits, out.format.bits, subject.classes)
        return rows_html([("logits", _edge(out)), ("puts out", "every logit, then the class")]) + _cost(subject, cost)
    bits = edge_at(
        specs, subject.topology.readers[item.stage][0] if item.kind == "fork" else Reader(item.stage, item.input)
    ).format.bits
    if item.kind == "fork":
        readers = subject.topology.readers[item.stage]
        names = ", ".join(subject.name(reader.stage) for reader in readers)
        return rows_html([("hands every word to", names)]) + _cost(subject, fork(len(readers)))
    if item.kind == "fifo":
        name = subject.name(item.stage)
        fifo = next(f for f in subject.plan.fifos if (f.stage, f.input) == (name, item.input))
        rows = [
            ("depth", f"{count(fifo.depth)} words, the least at full rate"),
            ("not to hang", f"{count(fifo.least)} words"),
            ("word", f"{fifo.width} bit"),
            ("memory", stored(subject, Store("FIFO", fifo.depth, fifo.width))),
        ]
        return rows_html(rows) + _cost(subject, fifo_resources(fifo.depth, fifo.width, subject.family))
    bits = edge_at(specs, Reader(item.stage, item.input)).format.bits
    rows = [("words", f"{item.before} values to {item.after}, of {bits} bit each")]
    if item.kind == "split":
        return rows_html(rows) + _cost(subject, splitter(item.after * bits, item.before // item.after))
    return rows_html(rows) + _cost(subject, gatherer(item.before * bits, item.after // item.before))


def _cost(subject: Subject, cost: Resources) -> str:
    return f"<h4>Share of {escaped(subject.device.name)}</h4>{shares_html(subject, cost)}"


def whole_network(subject: Subject) -> str:
    """What is told when nothing is chosen."""
    plan, graph = subject.plan, subject.graph
    limits = [f"{share(part)} of the {RESOURCES[n]}" for n, part in usable(subject.family).items() if part < 1]
    rows: list[tuple[str, object]] = [
        ("input", sizes(graph.input.sample_shape)),
        ("classes", subject.classes),
        ("stages", len([node for node in graph.nodes if not node.relabels])),
        ("multiplications", f"{count(graph.macs())} an inference"),
        ("stored", f"{count(graph.weight_bytes)} bytes of weights and scales"),
        ("lanes", f"{count(subject.explanation.lanes)}, {share(subject.explanation.occupancy, 1)} occupied"),
    ]
    if limits:
        rows.append(("a plan may use", ", ".join(limits)))
    return rows_html(rows) + f"<h4>Share of {escaped(subject.device.name)}</h4>{shares_html(subject, plan.resources)}"
