"""The verbs on a board: run, board."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from qtt_hw.cli import complete
from qtt_hw.cli.hardware import Build, sample_count
from qtt_hw.cli.model import Data, Json, Split
from qtt_hw.cli.show import cycles, data_read, example, imports, note, number, progress, report, rows_table, within

__all__ = ["add_to"]

#: Seconds that a timeout may be.
TIMEOUTS = (0.1, 3600.0)

BoardName = Annotated[
    str, typer.Option("--board", metavar="NAME", autocompletion=complete.boards, help="A board, or file.py:Board.")
]


class Port(BaseModel):
    """What `qtt board` prints."""

    port: str
    link: str | None
    board: str


def add_to(app: typer.Typer) -> None:
    app.command(
        "run",
        epilog=example(
            "qtt run build --port /dev/ttyUSB0 --data modelnet10 --samples 50",
            "qtt run build --port board.tty --data solids --samples 4 --json",
        ),
    )(run)
    app.command("board", epilog=example("qtt board build --link board.tty", "qtt board build --corrupt 0.01"))(board)


def run(
    build: Build,
    data: Data,
    port: Annotated[str, typer.Option(metavar="PORT", help="A serial port, or what qtt board prints.")],
    samples: Annotated[
        str | None, typer.Option(metavar="N", help="The first N of the split, or all, which is usual.")
    ] = None,
    split: Split = "test",
    board: BoardName = "ulx3s-85f",
    baud: Annotated[
        int | None, typer.Option(min=1, max=100_000_000, help="Of the line, in place of the board's.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Without any progress, after which the board is given up.")
    ] = 10.0,
    json: Json = False,
) -> None:
    """Send samples to a board and compare its answers and counted cycles with the model's and the prediction's."""
    with imports("sim.on_board"):
        from qtt_hw.evaluation import samples_of
        from qtt_hw.graph.file import load
        from qtt_hw.on_board import reached, run_on_board
        from rtl_gen.manifest import Manifest

    count = None if samples is None else sample_count(samples)
    within("--timeout", timeout, *TIMEOUTS)
    graph = load(build / Manifest.load(build).model)
    reached(build, port, board, baud)
    with progress() as show:
        show("data", text=data)
        splits = samples_of(graph, data, split)
        read = data_read(splits)
        there = len(splits[split])
        if count is not None and count > there:
            raise ValueError(f"--samples {count}: the {split} split has {there}; give 1 to {there}, or all")
        result = run_on_board(
            build,
            splits,
            count,
            port=port,
            split=split,
            board=board,
            baud=baud,
            timeout=timeout,
            progress=show,
        )
    wanted = cycles(result.predicted_cycles, result.predicted.intervals)
    counted = number(None if result.cycles is None else float(result.cycles), 0 if whole(result.cycles) else 2)
    rows: list[tuple[str, object]] = [
        ("equal", "yes, every logit and every class" if result.equal else "NO"),
        ("samples", number(result.samples)),
        ("accuracy", number(result.accuracy, 4)),
        ("cycles", f"{counted} counted back to back, {wanted} predicted"),
        ("latency", f"{number(result.latency)} counted, {number(result.predicted_latency)} predicted"),
    ]
    if result.cycles_equal is None:
        rows.append(("every inference", "waited for the line: the board does not hold a whole sample"))
    else:
        rows.append(("every inference", f"as predicted{'' if result.cycles_equal else ': NO'}"))
    if result.frames_per_second is not None:
        rows.append(("accelerator", f"{number(result.frames_per_second, 1)} a second at {result.clock_mhz:g} MHz"))
    rows += [
        ("over the line", f"{number(result.samples_per_second, 1)} a second, {number(result.seconds, 1)} s in all"),
        ("frames", f"{number(result.frames)} sent, {number(result.repeated)} of them again; {result.broken} broken"),
    ]
    report(result, json, rows_table(f"{build} at {port}", rows), data=read)
    if result.first_cycle_difference is not None:
        note(f"{build}: not the predicted cycles: {result.first_cycle_difference}")
    if not result.equal:
        note(f"{build}: not equal: {result.first_difference}")
    if not result.equal or result.cycles_equal is False:
        raise typer.Exit(1)


def whole(value: object) -> bool:
    """Whether a mean has no fraction."""
    return getattr(value, "denominator", 1) == 1


def board(
    build: Build,
    board: BoardName = "ulx3s-85f",
    link: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A name for the port, which is another one each time.")
    ] = None,
    corrupt: Annotated[float, typer.Option(metavar="P", help="Probability of a byte on the line to be changed.")] = 0.0,
    drop: Annotated[float, typer.Option(metavar="P", help="Probability of a byte on the line to be lost.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 32) - 1, help="Of what is changed and lost.")] = 0,
    frequency: Annotated[
        float | None, typer.Option(metavar="MHZ", help="Clock that the board says it has, in place of its own.")
    ] = None,
    placed: Annotated[
        bool, typer.Option("--placed", help="Of ECP5 and iCE40: the cells that place and route made, not the Verilog.")
    ] = False,
    json: Json = False,
) -> None:
    """Simulate a board with its serial port on a pseudo-terminal, for qtt run, until it is interrupted."""
    with imports("sim.board"):
        import boards
        from rtl_gen.plan.plan import CLOCKS
        from sim.board import Noise, SimulatedBoard, check_link, linked, on_terminal, wait_for_end

    within("--frequency", frequency, *CLOCKS)
    for option, probability in (("--corrupt", corrupt), ("--drop", drop)):
        within(option, probability, 0.0, 0.5)
    if link is not None:
        check_link(link, "--link ")
    with progress() as show:
        show("board", text="compiling the simulation")
        simulated = SimulatedBoard(build, boards.load(board), clock_mhz=frequency, placed=placed, progress=show)
    with ExitStack() as stack:
        port, child = stack.enter_context(on_terminal(simulated, Noise(corrupt, drop, seed)))
        if link is not None:
            stack.enter_context(linked(link, port, "--link "))
        rows: list[tuple[str, object]] = [("port", port), *([] if link is None else [("also", link)])]
        rows.append(("to use it", f"qtt run {build} --port {link or port} --data SOURCE"))
        result = Port(port=port, link=None if link is None else str(link), board=board)
        report(result, json, rows_table(f"{build} on {board}, simulated", rows))
        sys.stdout.flush()  # somebody waits for it
        wait_for_end(child)
