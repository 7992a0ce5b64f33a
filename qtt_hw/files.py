"""Files that are whole or absent, and nothing left of processes that have ended.

What is unfinished lies beside its target under a name of its own, `.TARGET.PID-RANDOM.tmp`, and its writer holds a lock
on it. The kernel releases a lock however the process ends, so the next writer of the same target knows what was given
up, and removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from qtt_hw.locks import in_use, is_at, lock

__all__ = [
    "append_lines",
    "file_writer",
    "is_unfinished",
    "naming",
    "scratch_folder",
    "sync_folder",
    "sync_names",
    "unfinished_name",
    "write_file",
]

#: Tries to make what is unfinished, where others that clean up may come in between.
ATTEMPTS = 100
_UNFINISHED = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")


def write_file(path: Path, content: bytes | str) -> None:
    """Write a whole file, text as UTF-8: a reader sees the old file or the new one, also after the power failed.

    Raises
    ------
    OSError
        Naming the path, when it cannot be written, as on a full disk; then nothing of it is left.
    """
    data = content.encode() if isinstance(content, str) else content
    with file_writer(path) as stream:
        stream.write(data)


@contextmanager
def file_writer(path: Path) -> Iterator[BinaryIO]:
    """A stream of bytes whose content becomes the file when the block ends, and is dropped when it raises.

    A link is followed; a device or a pipe is written to as it is.

    Raises
    ------
    OSError
        As of `write_file`.
    """
    target = Path(os.path.realpath(path))
    with naming(path):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if path.exists() and not path.is_file():  # asked of the name that was given: a pipe's own leads nowhere
            with path.open("wb") as stream:
                yield stream
            return
        _remove_given_up(target)
        with _begin(target, folder=False) as (unfinished, descriptor):
            with os.fdopen(descriptor, "wb", closefd=False) as stream:
                if target.exists():
                    os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
                yield stream
                stream.flush()
                os.fsync(descriptor)
                unfinished.replace(target)
            sync_names(target.parent)


def append_lines(path: Path, text: str) -> None:
    """Append whole lines to a file, on disk when it returns.

    What a writer that was cut off left of a last line is removed first. Only one process at a time may append.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    text : str
        One line or more, without the last line feed.

    Raises
    ------
    OSError
        Naming the path; the file then ends as before.
    """
    with naming(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            whole = _whole_lines(descriptor)
            os.ftruncate(descriptor, whole)
            os.lseek(descriptor, whole, os.SEEK_SET)
            try:
                left = memoryview(text.encode() + b"\n")
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, whole)
                raise
        finally:
            os.close(descriptor)


def _whole_lines(descriptor: int, block: int = 1 << 16) -> int:
    """The number of bytes up to the last line feed, it included."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    while end:
        begin = max(0, end - block)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """A folder beside the target to make it in, by renaming what is whole; removed when the block ends.

    Parameters
    ----------
    target : Path
        File or folder; its parent must exist.

    Raises
    ------
    OSError
        Naming the target, where a file in the folder could not be written.
    """
    target = Path(os.path.realpath(target))
    with naming(target):
        _remove_given_up(target)
        with _begin(target, folder=True) as (folder, _), naming(target, within=folder):
            yield folder


def unfinished_name(target: Path) -> Path:
    """A name beside the target for what is unfinished."""
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def is_unfinished(path: Path) -> bool:
    """Whether a file or folder is called as what is unfinished."""
    return _UNFINISHED.fullmatch(path.name) is not None


@contextmanager
def _begin(target: Path, folder: bool) -> Iterator[tuple[Path, int]]:
    """A new file or folder beside the target, and its locked descriptor; removed when the block ends.

    A signal may raise between any two lines, so each is noted before it is made.
    """
    paths: list[Path] = []
    descriptors: list[int] = []
    try:
        yield _locked(target, folder, paths, descriptors)
    finally:
        for path in paths:
            _remove(path)
        for descriptor in descriptors:
            os.close(descriptor)


def _locked(target: Path, folder: bool, paths: list[Path], descriptors: list[int]) -> tuple[Path, int]:
    """Make a file or folder beside the target and lock it; add to the lists what the caller removes and closes."""
    for attempt in range(1, ATTEMPTS + 1):
        path = unfinished_name(target)
        paths[:] = [path]
        flags = os.O_RDONLY | os.O_DIRECTORY if folder else os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            if folder:
                path.mkdir()
            descriptor = os.open(path, flags, 0o666)
        except FileExistsError:  # another's, which is not ours to remove
            paths.clear()
            continue
        except FileNotFoundError:
            if attempt == ATTEMPTS or not target.parent.is_dir():
                raise
            continue  # taken for given up before it was locked
        descriptors.append(descriptor)
        lock(descriptor, wait=True)
        if is_at(descriptor, path):
            return path, descriptor
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(target))


def _remove_given_up(target: Path) -> None:
    """Remove what processes that have ended left unfinished of the target."""
    name = re.compile(rf"\.{re.escape(target.name)}\.\d+-[0-9a-f]{{8}}\.tmp")
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for path in [Path(entry.path) for entry in entries if name.fullmatch(entry.name)]:
            in_use(path, then=lambda path=path: _remove(path))  # type: ignore[misc]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, within: Path | None = None) -> Iterator[None]:
    """Have an OSError that names no file, or one that is called as what is unfinished, name the path.

    `within` is a folder; its files are then named as the path's.
    """
    try:
        yield
    except OSError as error:
        shown = _shown(error.filename, path, within)
        if error.errno is None or shown is None:
            raise
        raise OSError(error.errno, error.strerror or os.strerror(error.errno), str(shown)) from error


def _shown(named: object, path: Path, within: Path | None) -> Path | None:
    """What is named in place of a file's own name; None to leave it."""
    if named is None:
        return path
    if not isinstance(named, str | bytes | os.PathLike):
        return None
    file = Path(os.fsdecode(named))
    if within is not None and file.is_relative_to(within):
        return path / file.relative_to(within)
    return path if is_unfinished(file) else None


def sync_folder(folder: Path) -> None:
    """Have everything in a folder reach the disk."""
    for place, _, names in os.walk(folder):
        for path in (Path(place) / name for name in names):
            if path.is_file() and not path.is_symlink():
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        sync_names(Path(place))


def sync_names(folder: Path) -> None:
    """Have the names in a folder reach the disk, where the system can tell."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
