"""The verbs on hardware: emit, cosim, build."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich import box
from rich.table import Table

from qtt_hw.cli import complete
from qtt_hw.cli.model import Data, Json, Split
from qtt_hw.cli.show import (
    cycles,
    data_read,
    example,
    file_to_write,
    imports,
    note,
    number,
    progress,
    report,
    rows_table,
    within,
)

if TYPE_CHECKING:
    from boards.seeds import SeedResults
    from sim.cosim import CosimResult
    from sim.tracing import Waves

__all__ = ["Build", "add_to", "sample_count"]

#: Cycles before a difference, unless it is said how many.
CYCLES_BEFORE = 400
#: What an FST file begins with: the kind and the length of its header.
FST = bytes([0, 0, 0, 0, 0, 0, 0, 1, 73])

Build = Annotated[Path, typer.Argument(metavar="BUILD", help="Folder that qtt emit wrote.")]


def add_to(app: typer.Typer) -> None:
    app.command(
        "emit",
        epilog=example(
            "qtt emit model.qtt --plan plan.json --taps -o build",
            "qtt emit model.qtt --plan plan.json --wrapper axi-stream -o build",
            "qtt emit model.qtt --plan plan.json --exchangeable -o build",
            "qtt emit retrained.qtt --like build -o build2",
        ),
    )(emit)
    app.command(
        "cosim",
        epilog=example(
            "qtt cosim build --data modelnet10 --samples all",
            "qtt cosim build --data solids --samples 4 --engine cocotb --stalls",
            "qtt cosim build --data modelnet10 --waves waves.vcd --around-difference",
        ),
    )(cosim)
    app.command(
        "build",
        epilog=example(
            "qtt build build --board ulx3s-85f --json",
            "qtt build build --seeds 8",
            "qtt build build2 --placed-as build",
        ),
    )(build)


def emit(
    model: Annotated[Path, typer.Argument(metavar="MODEL.qtt", autocompletion=complete.models)],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="BUILD", help="The folder to write.")],
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of qtt plan; by default the fastest for ecp5-85f.")
    ] = None,
    taps: Annotated[bool, typer.Option("--taps", help="Bring every stage's output out for comparison.")] = False,
    wrapper: Annotated[
        Literal["axi-stream"] | None,
        typer.Option(help="Also a module around the design: AXI4-Stream data, AXI4-Lite registers."),
    ] = None,
    exchangeable: Annotated[
        bool, typer.Option("--exchangeable", help="A design that takes other weights without place and route.")
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="BUILD", help="Of --exchangeable: become the same design, plan included, with other weights."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write Verilog and a manifest; beside them ports, a template, and scripts for other tools."""
    with imports("rtl_gen.emit"):
        from qtt_hw.flow import emit as run
    with progress() as show:
        show("emit")
        result = run(
            model, output, plan, taps=taps, wrapper=wrapper, exchangeable=exchangeable, like=like, progress=show
        )
    taken = cycles(result.predicted.mean, result.predicted.intervals)
    rows = [
        ("folder", output),
        ("Verilog", ", ".join(result.sources.simulation)),
        ("input", f"{result.input.words} words of {result.input.lanes} x {result.input.lane_bits} bits"),
        ("output", f"{result.output.words} words of 1 + {result.output.value_bits} bits"),
        ("taps", len(result.taps)),
        ("predicted", f"{taken} cycles, latency {number(result.predicted.latency)}"),
    ]
    if result.exchangeable:
        rows.append(("weights", f"others take the place of these by --like {output}"))
    if result.wrapper is not None:
        rows.append(("wrapper", f"module {result.wrapper.top} in {result.wrapper.source}, registers in registers.md"))
    report(result, json, rows_table(f"{result.name}, emitted", rows))


def sample_count(text: str) -> int | None:
    """Of --samples; None of all."""
    if text == "all":
        return None
    if not re.fullmatch("[0-9]{1,18}", text) or not int(text):
        raise ValueError(f"--samples {text}: expected a number from 1, or all")
    return int(text)


def _is_waveform(path: Path) -> bool:
    """Whether a file begins with a declaration of the VCD format, or the header of an FST."""
    with path.open("rb") as stream:
        head = stream.read(64)
    declarations = (b"$date", b"$version", b"$timescale", b"$comment", b"$scope")
    return head.startswith(FST) or head.lstrip().startswith(declarations)


def _is_view(path: Path) -> bool:
    """Whether a file is a view that was saved beside a trace."""
    with path.open("rb") as stream:
        return b"Written by qtt-hw" in stream.read(64)


def _trace_to_write(file: Path) -> None:
    """Raise ValueError unless a trace and its views can be put there."""
    if file.suffix not in (".vcd", ".fst"):
        raise ValueError(f"--waves {file}: end in .vcd, or in .fst, which is some ten times smaller")
    file_to_write(file, "--waves", "a waveform", _is_waveform)
    for suffix in (".gtkw", ".sucl"):
        file_to_write(file.with_suffix(suffix), "--waves", "a view that was saved beside a trace", _is_view)


def _waves_rows(waves: Waves | None, file: Path | None) -> list[tuple[str, object]]:
    if file is None:
        return []
    if waves is None:
        return [("waves", "not written: there is no difference")]
    cycles = f"cycles {number(waves.first_cycle)} to {number(waves.last_cycle)}"
    size = f"{number(waves.signals)} signals, {number(waves.bytes / 1e6, 2)} MB"
    return [
        ("waves", f"{waves.file}: {cycles}, {size}"),
        ("to open it", f"gtkwave {waves.gtkwave}"),
        ("or", f"surfer --command-file {waves.surfer} {waves.file}"),
    ]


def _runs(result: CosimResult) -> str:
    if result.runs == 1:
        return "all in one run"
    return f"{number(result.runs)} runs of {number(result.run_length)}, each from a reset"


def cosim(
    build: Build,
    data: Data,
    samples: Annotated[
        str | None, typer.Option(metavar="N", help="The first N of the split, or all, which is usual; 2 with --waves.")
    ] = None,
    split: Split = "test",
    engine: Annotated[
        Literal["verilator", "icarus", "cocotb", "pyverilator", "axi"],
        typer.Option(
            help="The batch harness, one where nothing starts with a value, the protocol test, stepping, or the buses "
            "of the AXI wrapper."
        ),
    ] = "verilator",
    stalls: Annotated[bool, typer.Option("--stalls", help="Random stalls of source and sink.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 32) - 1, help="Of the stalls.")] = 0,
    waves: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A trace, .vcd or .fst, and beside it views for GTKWave and Surfer."),
    ] = None,
    around_difference: Annotated[
        bool, typer.Option("--around-difference", help="Of --waves: only the cycles about the first difference.")
    ] = False,
    cycles_before: Annotated[
        int | None,
        typer.Option(
            "--cycles", metavar="N", min=1, max=10_000_000, help="So many before it, 400 by default; a quarter behind."
        ),
    ] = None,
    inside: Annotated[bool, typer.Option("--inside", help="Of --waves: every signal inside the stages, too.")] = False,
    json: Json = False,
) -> None:
    """Simulate the Verilog on real samples; fails where a word is not the model's or an end not the prediction's."""
    with imports("sim.cosim"):
        from qtt_hw.evaluation import samples_of
        from qtt_hw.flow import cosim as run
        from qtt_hw.graph.file import load
        from rtl_gen.manifest import Manifest

    count = None if samples is None else sample_count(samples)
    if cycles_before is not None and not around_difference:
        raise ValueError(f"--cycles {cycles_before}: wants --around-difference")
    if waves is not None:
        _trace_to_write(waves)
    elif around_difference or inside:
        raise ValueError(f"--{'around-difference' if around_difference else 'inside'}: wants --waves FILE")
    manifest = Manifest.load(build)
    graph = load(build / manifest.model)
    with progress() as show:
        show("data", text=data)
        splits = samples_of(graph, data, split)
        read = data_read(splits)
        there = len(splits[split])
        if count is not None and count > there:
            raise ValueError(f"--samples {count}: the {split} split has {there}; give 1 to {there}, or all")
        show("cosim")
        result = run(
            build,
            splits,
            there if samples == "all" else count,
            split=split,
            engine=engine,
            stalls=stalls,
            seed=seed,
            waves=waves,
            around_difference=(cycles_before or CYCLES_BEFORE) if around_difference else None,
            inside=inside,
            progress=show,
        )
    difference = None if result.first_difference is None else str(result.first_difference)
    taken = cycles(result.cycles, result.intervals)
    wanted = cycles(result.predicted_cycles, result.predicted.intervals)
    rows: list[tuple[str, object]] = [
        ("equal", "yes, every word" if result.equal else "NO"),
        ("samples", number(result.samples)),
        ("back to back", f"{_runs(result)}{', with random stalls' if result.stalls else ''}"),
        ("engine", result.engine),
        ("cycles", f"{taken} simulated, {wanted} predicted"),
        ("latency", f"{number(result.latency)} simulated, {number(result.predicted_latency)} predicted"),
        ("simulated", f"{number(result.simulated_cycles)} cycles in {number(result.seconds, 1)} s"),
    ]
    if result.cycles_equal is not None:
        rows.insert(5, ("every end", f"as predicted{'' if result.cycles_equal else ': NO'}"))
    if manifest.wrapper is not None:
        bare = "the design without its AXI wrapper, which --engine axi proves with it"
        rows.append(("proven", "the design in its AXI wrapper, and registers" if engine == "axi" else bare))
    rows += _waves_rows(result.waves, waves)
    report(result, json, rows_table(str(build), rows), data=read)
    if result.first_cycle_difference is not None:
        note(f"{build}: not in the predicted cycle: {result.first_cycle_difference}")
    if not result.equal:
        facts = [text for text in (result.failure, difference, result.hint) if text is not None]
        note(f"{build}: not equal: {'; '.join(facts)}")
    if not result.equal or result.cycles_equal is False:
        raise typer.Exit(1)


def _seeds_rows(found: SeedResults) -> list[tuple[str, object]]:
    """Of several seeds the clocks reached, and what could not be placed."""
    if len(found.tried) == 1:
        return []
    spread = f"{number(found.least_mhz, 1)} to {number(found.most_mhz, 1, 'MHz')}, median {number(found.median_mhz, 1)}"
    rows: list[tuple[str, object]] = [("seeds", f"{len(found.tried)}, seed {found.kept} kept: {spread}")]
    return rows + [(f"seed {each.seed}", each.failure) for each in found.failures]


def build(
    build: Build,
    board: Annotated[
        str, typer.Option(metavar="NAME", autocompletion=complete.boards, help="A board, or file.py:Board.")
    ] = "ulx3s-85f",
    seed: Annotated[int, typer.Option(min=0, max=(1 << 31) - 1, help="Of the placer; the first of --seeds.")] = 1,
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Place from N seeds side by side, and keep the fastest.")
    ] = 1,
    placer: Annotated[
        Literal["heap", "heap-timing", "static"],
        typer.Option(help="heap-timing is for single stages, static for designs that fill the block RAM."),
    ] = "heap",
    frequency: Annotated[
        float | None, typer.Option(metavar="MHZ", help="Clock of the design, in place of the board's own.")
    ] = None,
    fit_clock: Annotated[
        bool, typer.Option("--fit-clock", help="Then set the PLL to the clock that was reached, and build again.")
    ] = False,
    baud: Annotated[
        int | None, typer.Option(min=1, max=100_000_000, help="Of the link, in place of the board's; tell qtt run too.")
    ] = None,
    placed_as: Annotated[
        Path | None,
        typer.Option(metavar="BUILD", help="Take its placed design, which differs in weights alone: seconds."),
    ] = None,
    json: Json = False,
) -> None:
    """Synthesise, place and route for a board, and write the bitstream. No silicon was at hand to run it on."""
    with imports("boards.build"):
        from qtt_hw.flow import build as run
        from rtl_gen.plan.plan import CLOCKS

    within("--frequency", frequency, *CLOCKS)
    with progress() as show:
        show("build")
        result = run(
            build,
            board,
            frequency_mhz=frequency,
            fit_clock=fit_clock,
            baud=baud,
            seed=seed,
            seeds=seeds,
            placer=placer,
            placed_as=placed_as,
            progress=show,
        )
    table = Table(title=f"{build} on {result.board}", title_justify="left", box=box.SIMPLE)
    for name in ("", "built", "planned"):
        table.add_column(name, justify="right" if name else "left")
    planned = result.predicted
    for name, value, wanted in (
        ("LUT", result.luts, planned.luts),
        ("flip-flop", result.ffs, None),
        ("DSP", result.dsps, planned.dsps),
        ("block RAM", result.brams, planned.brams),
    ):
        table.add_row(name, number(value), number(wanted))
    rows = [
        ("fmax", number(result.fmax_mhz, 1, "MHz")),
        ("clock", f"{result.clock_mhz:g} MHz, {'met' if result.meets_timing else 'NOT met'}"),
        *_seeds_rows(result.seeds),
        ("bitstream", result.bitstream),
        *([("placed as", result.placed_as)] if result.placed_as is not None else []),
        ("time", number(result.seconds, 0, "s")),
    ]
    report(result, json, table, rows_table("", rows))
