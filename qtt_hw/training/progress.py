"""The progress bar on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from qtt_hw.progress import Progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar per step: how much is done, time, and the step's own text."""
    columns = (
        TextColumn("{task.description:>16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=None, text="")
            bar.update(tasks[step], total=total or None, completed=done, text=text)

        yield show
