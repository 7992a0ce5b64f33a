"""One step of a tool flow: a program in a child process, its output in a log file, its progress told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from qtt_hw.children import Start, how, running
from qtt_hw.progress import Progress, silent

__all__ = ["run_step"]


def run_step(
    step: str,
    program: str,
    arguments: Sequence[str],
    log: Path,
    *,
    cwd: Path,
    start: Start = running,
    progress: Progress = silent,
    notable: Callable[[str], str | None] = lambda line: None,
) -> str:
    """Run a program to its end and return what it printed, standard error included.

    Parameters
    ----------
    step : str
        Its name for people, which progress is told by.
    program : str
        The program's name, for errors.
    arguments : sequence of str
        What is run: the program and its arguments.
    log : Path
        Where the output is kept, written while the program runs.
    cwd : Path
        Working directory.
    start : callable
        As `qtt_hw.children.running`.
    progress : Progress
        Told of the start and of each notable line.
    notable : callable
        What to report of a line of output, or None.

    Raises
    ------
    ValueError
        When the program fails: its first error line, or the signal that killed it.
    """
    progress(step, text=f"{program} starts")
    lines: list[str] = []
    with (
        log.open("w", encoding="utf-8") as kept,
        start(
            arguments,
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            kept.write(line)
            lines.append(line)
            if text := notable(line.rstrip()):
                progress(step, text=text)
        code = child.wait()
    if code < 0:
        raise ValueError(f"{program} {how(code)}")
    if code != 0:
        found = [line.strip() for line in lines if "ERROR" in line] or [line.strip() for line in lines[-1:]]
        raise ValueError(f"{program} failed: {found[0] if found else f'exit code {code}'}")
    return "".join(lines)
