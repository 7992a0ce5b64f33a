"""A simulator with a channel of its own: what the design in it prints is kept apart from what the engine is told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from qtt_hw.children import Start, running

__all__ = ["said", "speaking"]


@contextmanager
def speaking(
    command: Callable[[int], Sequence[str]],
    log: Path,
    *,
    start: Start = running,
    stdin: int = subprocess.DEVNULL,
    cwd: Path | None = None,
) -> Iterator[tuple[subprocess.Popen[Any], BinaryIO]]:
    """The simulator's process and the end of its channel that is read, while the block runs.

    Parameters
    ----------
    command : callable
        From the channel's file descriptor in the simulator to program and arguments.
    log : Path
        Where its standard output and error go.
    start : callable
        As `qtt_hw.children.running`.
    stdin : int
    cwd : Path, optional
        As of `subprocess.Popen`.
    """
    with ExitStack() as stack:
        theirs, ours = os.pipe()
        channel = stack.enter_context(os.fdopen(theirs, "rb"))
        kept = stack.enter_context(log.open("wb"))
        try:
            process = stack.enter_context(
                start(command(ours), stdin=stdin, stdout=kept, stderr=kept, pass_fds=(ours,), cwd=cwd)
            )
        finally:
            os.close(ours)  # the simulator has it: its end is the end of the channel
        yield process, channel
        channel.close()


def said(log: Path) -> str:
    """The last line that a simulator printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no message")
