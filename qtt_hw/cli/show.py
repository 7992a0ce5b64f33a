"""What a verb shows: progress on stderr while it runs, then one JSON line or a table on stdout."""

from __future__ import annotations

import contextlib
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from qtt_hw.errors import short
from qtt_hw.progress import Progress, amount, in_words, silent
from qtt_hw.window import MOST_VALUES

if TYPE_CHECKING:
    from qtt_hw.data import DataSummary, Splits

__all__ = [
    "cycles",
    "data_read",
    "example",
    "file_to_write",
    "imports",
    "input_shape",
    "note",
    "number",
    "numbers",
    "progress",
    "report",
    "rows_table",
    "shape",
    "size",
    "within",
]

#: Digits of a size on the command line.
LONGEST = 16

#: Columns of tables that go to a file or a pipe.
WIDTH = 100

#: Seconds from which a step is worth a line where there is no terminal to draw on.
LONG = 2.0


def example(*lines: str) -> str:
    """An epilog of a verb's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@contextlib.contextmanager
def progress(*, shown: bool = True) -> Iterator[Progress]:
    """A bar on stderr per step, or off a terminal a line per long step; other output goes to stderr meanwhile."""
    console = Console(stderr=True)
    with contextlib.redirect_stdout(sys.stderr):
        if not shown:
            yield silent
            return
        if not console.is_terminal:
            lines = _Lines()
            try:
                yield lines
                lines.finish()
            finally:
                lines.stop()
            return
        columns = (
            TextColumn("{task.description:>15}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]:>12}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}", markup=False),
        )
        with Bar(*columns, console=console, refresh_per_second=4) as bar:
            bars = _Bars(bar, console)
            yield bars
            bars.finish()


@contextlib.contextmanager
def imports(*modules: str) -> Iterator[None]:
    """Around the imports of a verb, which may take longer than its work: a line on stderr where they take long.

    Parameters
    ----------
    *modules : str
        What the work imports besides: imported first.
    """
    lines = _Lines()
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes the first one tells
        lines("imports", text="torch" if "torch" in modules else "")
    try:
        for module in modules:
            import_module(module)
        yield
        lines.finish()
    finally:
        lines.stop()


class _Bars:
    """A bar per step; the one before is full when the next begins."""

    def __init__(self, bar: Bar, console: Console) -> None:
        self._bar, self._tasks = bar, dict[str, TaskID]()
        # A line that wraps would leave its remains on the screen.
        self._room = max(console.width - 75, 20)

    def __call__(self, step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        if step not in self._tasks:
            self.finish()
            self._tasks[step] = self._bar.add_task(step, total=None, text="", amount="")
        task, how_much = self._tasks[step], amount(done, total)
        self._bar.update(task, total=total or None, completed=done, text=text[: self._room], amount=how_much)

    def finish(self) -> None:
        for task in self._bar.tasks:
            if not task.finished:
                total = task.total or 1
                self._bar.update(task.id, total=total, completed=total, text="")


class _Lines:
    """A line when a step has taken two seconds, whatever it is busy with then, and one at its end."""

    def __init__(self) -> None:
        self._step, self._done, self._total, self._text, self._started = "", 0.0, 0.0, "", time.monotonic()
        self._timer: threading.Timer | None = None

    def __call__(self, step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        if step != self._step:
            self.finish()
            self._step, self._done, self._total, self._started = step, 0.0, 0.0, time.monotonic()
            if 0 < LONG < math.inf:
                self._timer = threading.Timer(LONG, self._tell)
                self._timer.daemon = True
                self._timer.start()
        if total:
            self._done, self._total = done, total
        self._text = text

    def _tell(self) -> None:
        print(in_words(self._step, self._done, self._total, self._text), "...", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """No line for a step that has not taken long yet."""
        if self._timer is not None:
            self._timer.cancel()

    def finish(self) -> None:
        self.stop()
        seconds = time.monotonic() - self._started
        if self._step and seconds >= LONG:
            print(in_words(self._step, self._done, self._total, f"in {seconds:.0f} s"), file=sys.stderr, flush=True)
        self._step = ""


def report(
    result: BaseModel,
    json: bool,
    *tables: Table,
    data: DataSummary | None = None,
    more: Mapping[str, BaseModel] | None = None,
) -> None:
    """Print the result: one object on one line, or tables for people.

    In the object `dataset` says what data was read; what else there is stands under its own names.
    """
    if json:
        parts = [*(more or {}).items(), *([] if data is None else [("dataset", data)])]
        text = result.model_dump_json()[:-1]
        print(text + "".join(f',"{name}":{part.model_dump_json()}' for name, part in parts) + "}")
        return
    # Names of files and layers stand as they are. Where nothing is drawn on, no terminal's width is kept to.
    wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else WIDTH
    console = Console(markup=False, emoji=False, width=wide)
    for table in tables:
        console.print(table)


def rows_table(title: str, rows: Sequence[tuple[str, object]]) -> Table:
    """A table of names and values."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, str(value))
    return table


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A number with its thousands apart, or a dash."""
    return "-" if value is None else f"{value:,.{digits}f}".replace(",", " ") + (f" {unit}" if unit else "")


#: Intervals of a period that are shown.
SHOWN_INTERVALS = 6


def cycles(mean: Fraction | None, intervals: Sequence[int]) -> str:
    """A mean number of cycles, and the intervals that it is of where they differ."""
    if mean is None or len(intervals) < 2:
        return number(None if mean is None else float(mean))
    more = ", ..." if len(intervals) > SHOWN_INTERVALS else ""
    turns = ", ".join(number(interval) for interval in intervals[:SHOWN_INTERVALS])
    return f"{number(float(mean), 0 if mean.denominator == 1 else 2)} on average ({turns}{more} in turn)"


def note(text: str) -> None:
    """One line on stderr."""
    print(f"qtt: {' '.join(text.split())}", file=sys.stderr)


def data_read(splits: Splits) -> DataSummary:
    """Say in one line on stderr what data was read."""
    from qtt_hw.data import summarise

    found = summarise(splits)
    note(f"data: {found}")
    return found


def file_to_write(path: Path, option: str, what: str, ours: Callable[[Path], bool]) -> Path:
    """The path, after a check that a file can be put there; raises ValueError naming the option.

    A file that stands there is replaced only if it is empty or `ours` says that it is `what` is to be written.
    """
    if path.is_dir():
        raise ValueError(f"{option} {path}: is a folder; give a file name")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{option} {path}: the folder {path.parent} does not exist")
    if path.is_file() and path.stat().st_size and not ours(path):
        raise ValueError(f"{option} {path}: exists and is not {what}; choose another name")
    return path


def within(option: str, value: float | None, least: float, most: float) -> None:
    """Raise ValueError naming the option where its value is not from `least` to `most`, as NaN is not."""
    if value is None or least <= value <= most:
        return
    limit = f"at most {most:g}" if value > most else f"at least {least:g}" if value > 0 or least <= 0 else "above 0"
    raise ValueError(f"{option} {value:g}: must be {limit}")


def numbers(option: str, text: str | None) -> tuple[float, ...]:
    """The numbers of "0.5,0.5,0.5"; none of None."""
    try:
        found = () if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{option} {short(text or '', 80)}: expected numbers such as 0.485,0.456,0.406")
    return found


#: What sizes may end with.
UNITS = {"": 1, "k": 1000, "M": 1000**2, "Ki": 1024, "Mi": 1024**2}


def size(option: str, text: str) -> int:
    """The bytes of "16000", "16k" or "16Ki", above 0."""
    found = re.fullmatch(r"(\d{1,12}|\d{1,9}\.\d{1,6})(|k|M|Ki|Mi)B?", text.strip(), re.ASCII)
    if found is None or not float(found[1]) * UNITS[found[2]] >= 1:
        raise ValueError(f"{option} {short(text, 80)}: expected bytes such as 16000, 16k or 16Ki")
    return int(float(found[1]) * UNITS[found[2]])


def shape(text: str | None, option: str = "--input") -> tuple[int, int, int, int] | None:
    """(C, D, H, W) of "C,D,H,W", or of "C,H,W", whose depth is 1."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) not in (3, 4) or not all(part.strip().isdecimal() and int(part[:LONGEST]) > 0 for part in parts):
        example = "such as 8,15,15,15 or 3,32,32"
        raise ValueError(f"{option} {short(text, 80)}: expected C,D,H,W or C,H,W, numbers above 0, {example}")
    if any(len(part) > LONGEST for part in parts) or math.prod(int(part) for part in parts) > MOST_VALUES:
        raise ValueError(f"{option} {short(text, 80)}: has more than {MOST_VALUES} values")
    c, *depth, h, w = (int(part) for part in parts)
    return c, depth[0] if depth else 1, h, w


def input_shape(text: str | None) -> tuple[int, ...] | None:
    """As of `shape`, or (C,) of "C", the size of vectors."""
    size = "" if text is None else text.strip()
    alone = size.isdecimal() and 0 < int(size[:LONGEST]) <= MOST_VALUES and len(size) <= LONGEST
    return (int(size),) if alone else shape(text)
