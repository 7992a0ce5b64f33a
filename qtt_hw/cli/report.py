"""The verb report: a network as hardware on one page."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from qtt_hw.cli import complete
from qtt_hw.cli.model import Json
from qtt_hw.cli.show import data_read, example, file_to_write, imports, number, progress, rows_table, within
from qtt_hw.cli.show import report as show_result

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    app.command(
        "report",
        epilog=example(
            "qtt report build -o report.html",
            "qtt report model.qtt --device ecp5-25f --fps 1000 -o report.html",
            "qtt report runs/first --plan plan.json -o report.html",
        ),
    )(report)


def report(
    source: Annotated[Path, typer.Argument(metavar="MODEL|BUILD|RUN", help="What is reported.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The page, one HTML file.")],
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", autocompletion=complete.devices, help="Of a model or run: the FPGA, ecp5-85f by default."
        ),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Of a model or run: the least hardware for these inferences a second.")
    ] = None,
    clock_mhz: Annotated[
        float | None,
        typer.Option("--clock-mhz", help="Of a model or run: the clock that --fps counts on, 100 by default."),
    ] = None,
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Of qtt plan, in place of a new one.")] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", autocompletion=complete.data, help="For accuracy and numbers; as of qtt eval."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Of the test samples; all by default.")
    ] = None,
    inspection: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of qtt inspect RUN --json: what each layer costs.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of qtt run BUILD --json: what a board counted.")
    ] = None,
    no_neighbours: Annotated[
        bool, typer.Option("--no-neighbours", help="Leave out the plans beside it, which take as long again to find.")
    ] = False,
    json: Json = False,
) -> None:
    """One HTML file that opens offline: units and streams, where the cycles go, resources, and how it was made."""
    with imports():
        from qtt_hw.evaluation import samples_of
        from qtt_hw.report.counted import Counted
        from qtt_hw.report.make import is_report, written
        from qtt_hw.report.page import plotly_script
        from qtt_hw.report.sections import SPLIT, Inspection, Wishes
        from qtt_hw.report.subject import subject_of
        from rtl_gen.plan.plan import CLOCKS, RATES

    file_to_write(output, "-o", "a report", is_report)
    within("--fps", fps, *RATES)
    within("--clock-mhz", clock_mhz, *CLOCKS)
    plotly_script()  # where it is missing, that is said before anything takes its time
    for option, given in (("--samples", samples), ("--inspection", inspection)):
        if data is None and given is not None:
            raise ValueError(f"{option} {given}: is for what is made from data; give --data too")
    inspected = None if inspection is None else Inspection.read(inspection)
    counted = None if run is None else Counted.read(run)
    words = ["qtt", "report", str(source), "-o", str(output)]
    for option, value in (
        ("--device", device),
        ("--fps", fps),
        ("--clock-mhz", clock_mhz),
        ("--plan", plan),
        ("--data", data),
        ("--samples", samples),
        ("--inspection", inspection),
        ("--run", run),
    ):
        words += (
            [] if value is None else [option, str(value).removesuffix(".0") if isinstance(value, float) else str(value)]
        )
    words += ["--no-neighbours"] if no_neighbours else []
    started, read, splits = time.monotonic(), None, None
    with progress() as show:
        show("report")
        subject = subject_of(
            source,
            device=device,
            fps=fps,
            clock_mhz=clock_mhz,
            plan=plan,
            neighbours=not no_neighbours,
            progress=show,
        )
        if data is not None:
            show("data", text=data)
            splits = samples_of(subject.graph, data, SPLIT)
            read = data_read(splits)
        wishes = Wishes(splits, samples, inspected, shlex.join(words), counted)
        result = written(subject, output, wishes, started=started, progress=show)
    rows: list[tuple[str, object]] = [("report", result.report), ("size", f"{number(result.bytes / 1e6, 1)} MB")]
    rows += [
        (section.title, ", ".join(part.title or section.title for part in section.parts)) for section in result.sections
    ]
    rows.append(("time", number(result.seconds, 1, "s")))
    show_result(result, json, rows_table(f"{result.model}, reported", rows), data=read)
