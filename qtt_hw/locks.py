"""Locks between processes, which the kernel releases however their holder ends, and which say who holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Busy", "in_use", "is_at", "is_lock", "lock", "locked"]

_NAME = re.compile(r"\..*\.lock")
#: Characters of a command line that the holder of a lock is told by.
SHOWN = 160


class Busy(ValueError):
    """Another process has what is wanted; the message says which."""


@contextmanager
def locked(path: Path, what: object, *, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Keep all other processes, and other threads of this one, out of the block.

    Where the file system knows no locks, nobody is kept out.

    Parameters
    ----------
    path : Path
        The lock's own file, `.NAME.lock`; it says who holds it, and is removed in the end.
    what : object
        What is locked, for messages.
    waiting : callable, optional
        Told once in one line who is waited for; without it nobody is waited for.

    Raises
    ------
    Busy
        Saying who has it, where it is not to be waited for.
    OSError
        Naming the folder in which the lock's file cannot be made.
    """
    opened: list[int] = []  # noted at once: a signal may raise between any two lines
    try:
        _acquire(path, what, waiting, opened)
        yield
    finally:
        for descriptor in opened:
            with contextlib.suppress(OSError):
                if lock(descriptor, wait=False) and is_at(descriptor, path):  # not where it is another's
                    path.unlink()
            os.close(descriptor)


def lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file or folder until it is closed; whether that could be done. True where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Whether a name still belongs to the open file or folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def in_use(path: Path, then: Callable[[], None] | None = None) -> bool | None:
    """Whether a process holds the lock on a file or folder; None where that cannot be known.

    `then` is called while nobody can have it, if nobody had.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if then is not None:
            then()
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)


def is_lock(path: Path) -> bool:
    """Whether a file is called as a lock is, and says what a lock says, or is empty."""
    if _NAME.fullmatch(path.name) is None or path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(len(_WHO)) in (b"", _WHO)
    except OSError:
        return False


def _acquire(path: Path, what: object, waiting: Callable[[str], None] | None, opened: list[int]) -> None:
    """Lock the file; its descriptors are added to what the caller closes."""
    while True:
        try:
            opened.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o666))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path.parent)) from error
        descriptor = opened[-1]
        if not lock(descriptor, wait=False):
            if waiting is None:
                raise Busy(f"{what}: {_holder(descriptor)} works on it")
            waiting(f"{what}: waiting for {_holder(descriptor)}")
            waiting = _silent
            lock(descriptor, wait=True)
        if is_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            with contextlib.suppress(OSError):  # of a full disk, which keeps no lock from being one
                os.pwrite(descriptor, _description().encode(), 0)
            return
        os.close(opened.pop())  # of a file that its holder removed meanwhile


def _silent(text: str) -> None:
    return


#: How a lock's text begins.
_WHO = b"process "


def _description() -> str:
    """This process, for those who find its lock."""
    program, *arguments = sys.argv or ["python"]
    command = shlex.join([Path(program).name or "python", *arguments])
    command = command if len(command) <= SHOWN else f"{command[:SHOWN]} ..."
    return f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}; {command}"


def _holder(descriptor: int) -> str:
    """Who holds a lock: process, machine, time and command."""
    text = ""
    for delay in (0, 0.01, 0.1):  # who has just locked it is about to say so
        time.sleep(delay)
        text = " ".join(os.pread(descriptor, 4096, 0).decode(errors="replace").split())
        if text:
            break
    who, _, command = text.partition("; ")
    return f"{who} ({command})" if command else "another process"
