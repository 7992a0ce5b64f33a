"""The verbs about tools and devices: doctor, program."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from qtt_hw.cli import complete
from qtt_hw.cli.hardware import Build
from qtt_hw.cli.model import Json
from qtt_hw.cli.show import example, imports, progress, report, rows_table

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    app.command("program", epilog=example("qtt program build --board ulx3s-85f", "qtt program build --dry-run"))(
        program
    )
    app.command("doctor", epilog=example("qtt doctor", "qtt doctor --json"))(doctor)


def program(
    build: Build,
    board: Annotated[
        str, typer.Option(metavar="NAME", autocompletion=complete.boards, help="A board, or file.py:Board.")
    ] = "ulx3s-85f",
    cable: Annotated[
        str | None, typer.Option(metavar="NAME", help="What openFPGALoader calls the cable, of a board that it lacks.")
    ] = None,
    flash: Annotated[
        bool, typer.Option("--flash", help="Into the flash memory that the board starts from, not into the FPGA.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command, and do nothing.")] = False,
    json: Json = False,
) -> None:
    """Send the bitstream of a BUILD to a board, by openFPGALoader. No board was at hand to try it on."""
    with imports("boards.program"):
        from qtt_hw.flow import program as run
    with progress() as show:
        result = run(build, board, cable=cable, flash=flash, dry_run=dry_run, progress=show)
    command = shlex.join(result.command)
    if dry_run and not json:
        print(command)
        return
    rows = [
        ("bitstream", result.bitstream),
        ("command", command),
        ("board", "programmed" if result.done else "untouched"),
    ]
    report(result, json, rows_table(str(build), rows))


def doctor(json: Json = False) -> None:
    """Say what of the tool chain is there and what is missing; fails where the way to a bitstream lacks something."""
    with imports("qtt_hw.diagnosis"):
        from qtt_hw.diagnosis import doctor as run
    found = run()
    table = Table(title="tool chain", title_justify="left", box=box.SIMPLE)
    for name in ("", "version", "wanted", "needed for", ""):
        table.add_column(name)
    for part in found.parts:
        state = "" if part.state == "there" else part.state.upper() if part.core else part.state
        table.add_row(part.name, part.version or "-", part.wanted or "any", part.needed_for, state)
    whole = "all that leads to a bitstream is there" if found.complete else "what is needed lacks, in capitals above"
    rows = [("tool chain", whole), *(("to install", command) for command in found.install)]
    report(found, json, table, rows_table("", rows))
    if not found.complete:
        raise typer.Exit(1)
