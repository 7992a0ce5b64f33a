"""Child processes that end when we do: each in a process group of its own, which is killed whole.

Verilator and make are trees of processes, and whoever sends SIGTERM or SIGKILL reaches only us. So the group is killed
on every way out of the block that runs it, and a watcher, a shell that waits for the end of a pipe that only we hold
open, kills it when we are no more.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

__all__ = ["Children", "Start", "how", "processors", "run", "running"]

_WATCHER = 'read -r _; kill -KILL -"$1"'


class Start(Protocol):
    """What starts a child: `running`, or of several threads' children `Children.running`."""

    def __call__(self, command: Sequence[str], **options: Any) -> AbstractContextManager[subprocess.Popen[Any]]: ...


def processors() -> int:
    """Processors that this process may use: so many children that compute are worth running at a time."""
    return len(os.sched_getaffinity(0))


def how(code: int) -> str:
    """How a process ended, by its exit code."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A program while the block runs; on leaving, it is waited for, or killed with all that it started on an exception.

    Parameters
    ----------
    command : sequence of str
    options
        Of `subprocess.Popen`.
    """
    with subprocess.Popen(list(command), process_group=0, **options) as child:
        try:
            with _watched(child.pid):
                yield child
                for pipe in (child.stdin, child.stdout, child.stderr):
                    if pipe is not None:
                        pipe.close()
                child.wait()
        except BaseException:
            kill(child)
            raise


def kill(child: subprocess.Popen[Any]) -> None:
    """Kill the group of a child of `running` that has not ended; it stays to be waited for."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


@contextmanager
def _watched(group: int) -> Iterator[None]:
    """While the block runs, the end of this process is the end of a process group."""
    theirs, ours = os.pipe()
    try:
        watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHER, "sh", str(group)],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what reaches a terminal's group must not reach it
        )
        os.close(theirs)
        try:
            yield
        finally:
            watcher.kill()
            watcher.wait()
    finally:
        os.close(ours)


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end: its exit code and all that it printed."""
    pipe = subprocess.PIPE
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL if stdin is None else pipe, "stdout": pipe, "stderr": pipe}
    with running(command, cwd=cwd, env=env, text=True, errors="replace", **options) as child:
        stdout, stderr = child.communicate(stdin)
    return subprocess.CompletedProcess(list(command), child.returncode, stdout, stderr)


class Children:
    """Children of several threads: `close`, and leaving the block, kills those that run and lets no other start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[Any]] = set()
        self._closed = False

    @contextmanager
    def running(self, command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
        """As the function of that name; raises ChildProcessError when closed."""
        with ExitStack() as stack:
            with self._lock:
                if self._closed:
                    raise ChildProcessError(f"{command[0]} is not started any more")
                child = stack.enter_context(running(command, **options))
                self._running.add(child)
            try:
                yield child
            finally:
                with self._lock:
                    self._running.discard(child)

    def close(self) -> None:
        """Kill those that run, and start no more."""
        with self._lock:
            self._closed = True
            for child in self._running:
                kill(child)

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
