"""Work folders of one process: removed when it is done with them, or by a later process when it died before."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sim.toolchain import is_plain

__all__ = ["plain_temporary", "work_folder"]

_PREFIX = "qtt"


@contextmanager
def work_folder(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder PARENT/qtt-KIND-PID-..., while the block runs; those of processes that are no more are removed.

    Parameters
    ----------
    kind : str
        A word.
    parent : Path, optional
        Where programs take every path as it is, `plain_temporary`, unless given.
    """
    parent = plain_temporary() if parent is None else parent.resolve()
    _remove_stale(kind, parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{kind}-{os.getpid()}-", dir=parent))
    owned = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no locks; then the number of the process has to do
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owned)


def plain_temporary() -> Path:
    """The system's folder for temporary files, or another, whose path make and shells take as it is."""
    first = tempfile.gettempdir()
    for name in (first, "/tmp", "/var/tmp"):
        found = os.path.realpath(name)
        if is_plain(found) and os.access(found, os.W_OK | os.X_OK):
            return Path(found)
    raise ValueError(f"{first}: make does not take such a path: set TMPDIR to one of letters, digits and / . _ - alone")


def _remove_stale(kind: str, parent: Path) -> None:
    """Remove what processes have left that were killed: they live no more, and nobody holds the folder's lock.

    The lock is for processes that are not seen from here, in another container or on another machine.
    """
    for folder in parent.glob(f"{_PREFIX}-{kind}-*"):
        found = re.fullmatch(rf"{_PREFIX}-{re.escape(kind)}-(\d+)-\w+", folder.name)
        if found is None or _lives(int(found[1])):
            continue
        with suppress(OSError):
            left = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(left)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
