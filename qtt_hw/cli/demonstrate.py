"""The verb demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qtt_hw.cli.model import Json
from qtt_hw.cli.show import cycles, example, imports, note, number, progress, report, rows_table

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    app.command("demo", epilog=example("qtt demo -o demo"))(demo)


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where everything is kept.")] = Path(
        "demo"
    ),
    json: Json = False,
) -> None:
    """The whole way on generated voxel solids, nothing downloaded: train, freeze, eval, plan, emit, cosim, build.

    Takes minutes. A second call goes on where the first stopped, or shows the results at once.
    """
    from qtt_hw.process import keep_freed_memory

    with imports("torch"):
        from qtt_hw.demonstration import demo as run

    keep_freed_memory()
    with progress() as show:
        show("data", text="solids")
        result = run(output, progress=show, note=note)
    taken = cycles(result.cycles, result.intervals)
    wanted = cycles(result.predicted_cycles, result.predicted.intervals)
    rows = [
        ("accuracy", f"{result.accuracy:.4f} of {number(result.samples)} test solids, integer model"),
        ("weights", number(result.weight_bytes, unit="bytes")),
        ("RTL equals the model", f"yes, every word of {number(result.cosim_samples)} solids"),
        ("cycles an inference", f"{taken} simulated, {wanted} predicted"),
        ("latency", f"{number(result.latency)} simulated, {number(result.predicted_latency)} predicted"),
        ("busiest stage", f"multiplies in {result.utilization:.1%} of the cycles"),
        ("DSP", f"{number(result.dsps)} placed, {number(result.predicted_dsps)} predicted"),
        ("block RAM", f"{number(result.brams)} placed, {number(result.predicted_brams)} predicted"),
        ("LUT", f"{number(result.luts)} placed, {number(result.predicted_luts)} predicted"),
        ("flip-flop", number(result.ffs)),
        ("fmax", f"{number(result.fmax_mhz, 1, 'MHz')} on {result.device}"),
        ("inferences/s", f"{number(result.inferences_per_second)} at that clock"),
        ("bitstream", f"{result.bitstream} for {result.board}, not run on a board"),
        ("seconds", ", ".join(f"{name} {seconds:.0f}" for name, seconds in result.seconds.items())),
        ("", f"{sum(result.seconds.values()):.0f} together"),
    ]
    report(result, json, rows_table(f"demonstration in {result.folder}", rows))
