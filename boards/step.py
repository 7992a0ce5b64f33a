"""One step of a tool flow: a program in a child process, its output in a log file, its progress as lines of text."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from qtt_hw.children import running

__all__ = ["Progress", "run_step"]

#: Called with one line of text: the step and what it does now.
Progress = Callable[[str], None]


def run_step(
    name: str,
    arguments: Sequence[str],
    log: Path,
    *,
    cwd: Path,
    progress: Progress | None = None,
    notable: Callable[[str], str | None] = lambda line: None,
) -> str:
    """Run a program to its end and return what it printed, standard error included.

    Parameters
    ----------
    name : str
        Of the step, for progress and errors.
    arguments : sequence of str
        Program and arguments.
    log : Path
        Where the output is kept, written while the program runs.
    cwd : Path
        Working directory.
    progress : callable, optional
        Called for each notable line.
    notable : callable
        What to report of a line of output, or None.

    Raises
    ------
    ValueError
        When the program fails: its first error line.
    """
    if progress is not None:
        progress(f"{name}: starts")
    lines: list[str] = []
    with (
        log.open("w", encoding="utf-8") as kept,
        running(
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
            text = notable(line.rstrip()) if progress is not None else None
            if text and progress is not None:
                progress(f"{name}: {text}")
        code = child.wait()
    if code != 0:
        found = [line.strip() for line in lines if "ERROR" in line] or [line.strip() for line in lines[-1:]]
        raise ValueError(f"{name} failed: {found[0] if found else f'exit code {code}'}")
    return "".join(lines)
