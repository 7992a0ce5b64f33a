"""The progress bar on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from qtt_hw.training.phase import Progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """One line per phase: steps done, time, and the phase's own text."""
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        tasks: dict[str, TaskID] = {}

        def show(phase: str, step: int, steps: int, text: str) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=steps, text="")
            bar.update(tasks[phase], completed=step, text=text)

        yield show
