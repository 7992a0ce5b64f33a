"""The verb plan: a model folded onto a device, with what sets its rate and why no stage is smaller."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich import box
from rich.table import Table

from qtt_hw.cli import complete
from qtt_hw.cli.model import Device, Json
from qtt_hw.cli.show import (
    cycles,
    data_read,
    example,
    file_to_write,
    imports,
    input_shape,
    number,
    progress,
    report,
    rows_table,
    within,
)

if TYPE_CHECKING:
    from rtl_gen.plan.explain import Explanation
    from rtl_gen.plan.neighbours import Neighbour, Neighbours
    from rtl_gen.plan.plan import Plan
    from rtl_gen.plan.rate import Limit

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    app.command(
        "plan",
        epilog=example(
            "qtt plan model.qtt --device ecp5-85f -o plan.json",
            "qtt plan run.toml --input 8,15,15,15 --classes 10 --fps 1000",
            "qtt plan net.py:Net --input 3,8,112,112 --classes 400 --device none",
        ),
    )(plan)


def plan(
    model: Annotated[
        str, typer.Argument(metavar="MODEL.qtt|CONFIG.toml|file.py:Net|NAME", autocompletion=complete.planned)
    ],
    device: Device = "ecp5-85f",
    fps: Annotated[
        float | None, typer.Option(help="The least hardware for these inferences a second, not the fastest.")
    ] = None,
    clock_mhz: Annotated[float, typer.Option("--clock-mhz", help="The clock that --fps counts on.")] = 100.0,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="The plan, as JSON.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            autocompletion=complete.data,
            help="With a configuration: data to take shape and classes from.",
        ),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(metavar="C,D,H,W", help="With a configuration, in place of data; or C,H,W, or C of vectors."),
    ] = None,
    classes: Annotated[int | None, typer.Option(min=2, max=1 << 16, help="With --input.")] = None,
    lanes: Annotated[
        Literal["shift", "dsp", "logic"],
        typer.Option(help="Multipliers in place of the shifts of power-of-two weights, to compare."),
    ] = "shift",
    engines: Annotated[
        bool, typer.Option("--engines", help="Let runs of stages share arrays where that is cheaper or faster.")
    ] = False,
    no_neighbours: Annotated[
        bool, typer.Option("--no-neighbours", help="Leave out the plans beside it, which take as long again to find.")
    ] = False,
    json: Json = False,
) -> None:
    """Fold a network onto a device: multipliers, memories and the exact number of cycles.

    A configuration, or a network of the zoo or of a file, is planned before training, at the ranks that its compress
    section gives: then the path along which each QTTConv3d and TTLinear is contracted is chosen too, for the fewest
    cycles that fit the device. A path changes where roundings happen, so train with the plan (qtt train --plan); the
    trained model is then planned anew from its file, for the folding.
    """
    with imports("rtl_gen.plan.explain"):
        from qtt_hw.planning import explain_plan, is_file
        from rtl_gen.plan.plan import CLOCKS, RATES, is_plan, save_plan

    if output is not None:
        file_to_write(output, "-o", "a plan", is_plan)
    within("--fps", fps, *RATES)
    within("--clock-mhz", clock_mhz, *CLOCKS)
    given = input_shape(input)
    if Path(model).is_file() and is_file(model):
        for option, value in (("--input", input), ("--classes", classes)):
            if value is not None:
                raise ValueError(f"{option} {value}: is for a configuration; {model} holds its own input and classes")
    if not is_file(model):
        from qtt_hw.process import keep_freed_memory

        with imports("torch", "qtt_hw.training.untrained"):
            pass
        keep_freed_memory()
    with progress() as show:
        show("plan")
        splits = None
        if data is not None:
            from qtt_hw.training.config import configuration

            if is_file(model):
                raise ValueError(f"--data {data}: is for a configuration; {model} holds its own input and classes")
            splits = configuration(model).data.load(data)
            data_read(splits)
        result, explanation = explain_plan(
            model,
            device,
            fps=fps,
            clock_mhz=clock_mhz,
            data=splits,
            input_shape=None if given is None else (given + (1, 1, 1))[:4],  # type: ignore[arg-type]
            classes=classes,
            lanes=lanes,
            engines=engines,
            neighbours=not no_neighbours,
            progress=show,
        )
        if output is not None:
            save_plan(result, output)
    tables = [_stages_table(result, explanation), rows_table("whole network", list(_rows(result, explanation)))]
    if explanation.neighbours is not None:
        tables.append(_neighbours_table(result, explanation.neighbours))
    if result.fifos:
        tables.insert(1, _fifos_table(result))
    if result.engines:
        tables.insert(1, _engines_table(result))
    if result.paths:
        tables.insert(0, _paths_table(result))
    report(result, json, *tables, more={"explanation": explanation})


def _stages_table(result: Plan, explanation: Explanation) -> Table:
    """Of each stage its folding's cycles and cost, its occupancy, and why it is no smaller."""
    table = Table(title=f"{result.model} on {result.device}", title_justify="left", box=box.SIMPLE)
    names = ("stage", "cycles", "multi-\npliers", "DSP", "block\nRAM", "LUT", "occu-\npancy", "why not smaller")
    for name in names:
        table.add_column(name, justify="left" if name in (names[0], names[-1]) else "right", overflow="fold")
    for about in explanation.stages:
        stage = result.units[about.stage]
        counts = (stage.cycles, stage.multipliers, stage.dsps, stage.brams, stage.luts)
        table.add_row(about.stage, *(number(count) for count in counts), _share(about.occupancy), about.reason or "")
    return table


def _engines_table(result: Plan) -> Table:
    """The array of each engine, and the stages that share it."""
    table = Table(title="engines", title_justify="left", box=box.SIMPLE)
    table.add_column("engine", overflow="fold")
    for name in ("array", "requantiser\nlanes", "rows of the\nfirst ring", "stages"):
        table.add_column(name, justify="right", overflow="fold")
    for engine in result.engines:
        f = engine.folding
        array = f"{f.simd} x {f.pe} {f.multiplier}"
        stages = f"{len(engine.stages)}, to {engine.stages[-1]}"
        table.add_row(engine.name, array, number(f.lanes), number(f.rows[0]), stages)
    return table


def _share(part: float | None) -> str:
    return "-" if part is None else f"{part:.1%}"


def _rows(result: Plan, explanation: Explanation) -> Iterator[tuple[str, object]]:
    rate, taken = number(result.frames_per_second), cycles(result.cycles, result.predicted.intervals)
    yield "cycles", f"{taken} an inference, {rate} inferences/s at {result.clock_mhz:g} MHz"
    yield "latency", f"{number(result.latency)} cycles"
    yield "busiest stage", f"{result.bottleneck}, busy in {result.utilization:.1%} of the cycles"
    yield "rate set by", _limit(explanation.limit)
    if explanation.neighbours is not None:
        yield "to be faster", _budgets(explanation.neighbours)
    if explanation.occupancy is not None:
        yield "occupancy", f"{explanation.occupancy:.1%} of {number(explanation.lanes)} lanes x the cycles"
    yield "multipliers", number(result.multipliers)
    counts = (result.dsps, result.brams, result.luts, result.ffs)
    yield "DSP, block RAM, LUT, flip-flop", ", ".join(number(count) for count in counts)
    yield "weights in ROM", number(result.rom_bits, unit="bits")
    if single := [stage.stage for stage in result.stages if stage.folding.ports == 1]:
        yield "rings of one port", ", ".join(single)


def _limit(limit: Limit) -> str:
    what = limit.words
    if limit.kind == "stage":
        return what
    if limit.kind in ("fifo", "ring", "queue"):
        return f"{what}; {number(float(limit.cycles))} cycles with a deeper one"
    most = f", of which the longest take {limit.share:.1%}" if limit.kind == "waits" else f": {limit.share:.1%}"
    return f"{what}{most} of the interval"


#: Budgets of a device.
_BUDGETS = {"dsps": "multipliers", "brams": "block RAM", "luts": "LUTs", "ffs": "flip-flops"}


def _budgets(beside: Neighbours) -> str:
    if beside.larger is None:
        return "no plan that is faster was found"
    if beside.larger.fits:
        return "the next larger plan fits the device"
    names = [_BUDGETS[name] for name in beside.budgets]
    if not names:
        return "more of the device for what stands between stages"
    return " or ".join(f"more {name}" for name in names)


def _neighbours_table(result: Plan, beside: Neighbours) -> Table:
    """The plan between the next smaller and the next larger one."""
    table = Table(title="plans beside it", title_justify="left", box=box.SIMPLE)
    for name in ("", "cycles", "inferences/s", "multipliers", "DSP", "block RAM", "LUT", "fits"):
        table.add_column(name, justify="right" if name else "left", overflow="fold")

    def add(name: str, plan: Plan | Neighbour, fits: bool) -> None:
        taken = number(float(plan.cycles), 0 if Fraction(plan.cycles).denominator == 1 else 2)
        counts = (plan.frames_per_second, plan.multipliers, plan.dsps, plan.brams, plan.luts)
        table.add_row(name, taken, *(number(count) for count in counts), "yes" if fits else "no")

    if beside.smaller is not None:
        add("next smaller", beside.smaller, beside.smaller.fits)
    add("this one", result, True)
    if beside.larger is not None:
        add("next larger", beside.larger, beside.larger.fits)
    return table


def _fifos_table(result: Plan) -> Table:
    """Of each sum the FIFO on its short branch."""
    table = Table(title="FIFOs before sums, in words", title_justify="left", box=box.SIMPLE)
    for name in ("sum", "not to hang", "at full rate, as built", "bits a word", "block RAM", "LUT"):
        table.add_column(name, justify="left" if name == "sum" else "right", overflow="fold")
    for fifo in result.fifos:
        counts = (fifo.least, fifo.depth, fifo.width, fifo.brams, fifo.luts)
        table.add_row(fifo.stage, *(number(count) for count in counts))
    return table


#: Paths of a layer that are shown; all stand in the plan.
SHOWN_PATHS = 5


def _paths_table(result: Plan) -> Table:
    """Of each layer the path chosen, those of fewest multiplications, and what each would cost by itself."""
    table = Table(title="paths, each by itself, as fast as the plan", title_justify="left", box=box.SIMPLE)
    for name in ("layer", "path", "multiplications", "weights in bits", "DSP", "block RAM", "LUT"):
        table.add_column(name, justify="left" if name in ("layer", "path") else "right", overflow="fold")
    for layer in dict.fromkeys(path.layer for path in result.paths):
        of_layer = [path for path in result.paths if path.layer == layer]
        of_layer.sort(key=lambda path: (not path.chosen, path.multiplications, path.rom_bits))
        for path in of_layer[:SHOWN_PATHS]:
            counts = (path.multiplications, path.rom_bits, path.dsps, path.brams, path.luts)
            name = path.path + (" *" if path.chosen else "")
            table.add_row(layer, name, *(number(count) for count in counts))
            layer = ""
        if len(of_layer) > SHOWN_PATHS:
            table.add_row("", f"and {len(of_layer) - SHOWN_PATHS} more", *[""] * 5)
    return table
