"""Files converted one by one to arrays of bytes, once: the result is kept in a folder and mapped from there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.errors import LiveError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qtt_hw.folders import PREPARED, folder_writer
from qtt_hw.locks import locked

__all__ = ["Prepared", "Unusable", "cache_folder", "prepare"]

#: Raised whenever a conversion's result changes, so that what was kept before is not used any more.
VERSION = 1

#: Seconds from which a conversion is worth a bar or a line.
LONG = 2.0


class Unusable(ValueError):
    """A file that is corrupt or empty: refused, or skipped with `corrupt = "skip"`. Its message names the file."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Converted files.

    Parameters
    ----------
    x : uint8 array, [F, ...]
        One row a file, mapped from the cache read-only. Rows of skipped files are zero.
    kept : int64 array, [K]
        The rows of files that could be read, in the order of the files.
    """

    x: NDArray[np.uint8]
    kept: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.uint8]:
        """The kept rows [K, ...]; still mapped, not read, where all are."""
        return self.x if len(self.kept) == len(self.x) else self.x[self.kept]


def cache_folder() -> Path:
    """The folder of prepared arrays: $QTT_CACHE, or ~/.cache/qtt-hw."""
    named = os.environ.get("QTT_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "qtt-hw"


def prepare(
    root: Path,
    files: Sequence[Path],
    shape: tuple[int, ...],
    parameters: Mapping[str, Any],
    convert: Callable[[Path], NDArray[np.uint8]],
    *,
    corrupt: str = "refuse",
) -> Prepared:
    """One array of `shape` per file, from the cache where the same files were converted in the same way before.

    An entry is named by a hash of the parameters and of every file's path, size and time of change. It is whole or
    absent, and made once: a second process that wants the same waits for the first.

    Parameters
    ----------
    root : Path
        The data set's folder, for messages; the files lie in it.
    files : sequence of Path
    shape : tuple of int
        Of what `convert` returns.
    parameters : mapping
        Everything beside the files' contents that the result depends on, as JSON can hold it.
    convert : callable
        The array uint8 of one file. It raises Unusable, naming the file, where this is corrupt.
    corrupt : "refuse" or "skip"
        Whether an unusable file is an error, or left out and named in a line on stderr.

    Raises
    ------
    ValueError
        One line that names the file, or the folder where none could be used or nothing can be written.
    """
    described = {**parameters, "corrupt": corrupt, "shape": shape, "version": VERSION}
    entry = cache_folder() / _key(root, files, described)
    found = _read(entry, (len(files), *shape))
    if found is None:
        try:
            found = _convert(root, files, shape, convert, corrupt, entry)
        except OSError as error:
            raise ValueError(
                f"{entry.parent}: cannot keep prepared data: {error.strerror or error}; set QTT_CACHE to another folder"
            ) from None
    x, skipped = found
    if skipped:
        listed = "; ".join(skipped.values())
        print(f"qtt: {root}: skipped {len(skipped)} of {len(files)} files: {listed}", file=sys.stderr)
    kept = np.array([row for row in range(len(files)) if str(row) not in skipped], dtype=np.int64)
    if not len(kept):
        raise ValueError(f"{root}: none of its {len(files)} files could be read")
    return Prepared(x, kept)


def _key(root: Path, files: Sequence[Path], described: Mapping[str, Any]) -> str:
    states = [(str(path.relative_to(root)), *_state(path)) for path in files]
    content = json.dumps([str(root.resolve()), described, states], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # the conversion will say so
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _read(entry: Path, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], dict[str, str]] | None:
    """The mapped array and the message of every skipped row; None where there is no whole entry."""
    try:
        skipped = json.loads((entry / "skipped.json").read_text(encoding="utf-8"))
        # A plain array over the mapping: its parts, once copied, are no maps any more.
        x = np.asarray(np.load(entry / "x.npy", mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None
    return (x, skipped) if x.shape == shape and x.dtype == np.uint8 else None


def _convert(
    root: Path,
    files: Sequence[Path],
    shape: tuple[int, ...],
    convert: Callable[[Path], NDArray[np.uint8]],
    corrupt: str,
    entry: Path,
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Make the entry, unless another process has made it while this one waited for it."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    size, free = len(files) * math.prod(shape), shutil.disk_usage(entry.parent).free
    if size > free:
        raise ValueError(
            f"{root}: its {len(files)} files, prepared, take {size / 2**30:.1f} GiB, but {entry.parent} has "
            f"{free / 2**30:.1f} free; set QTT_CACHE to another folder"
        )
    expected = (len(files), *shape)
    with locked(entry.with_name(f".{entry.name}.converting.lock"), root, waiting=_told):
        found = _read(entry, expected)
        if found is not None:
            return found
        with folder_writer(entry, PREPARED) as folder:
            x = _empty(folder / "x.npy", expected)
            skipped: dict[str, str] = {}
            with _progress(root, len(files), entry) as step:
                for row, path in enumerate(files):
                    try:
                        x[row] = _one(path, convert)
                    except Unusable as error:
                        if corrupt == "refuse":
                            raise
                        skipped[str(row)] = str(error)
                    step(row + 1)
            x.flush()
            (folder / "skipped.json").write_text(json.dumps(skipped), encoding="utf-8")
        found = _read(entry, expected)
        assert found is not None
        return found


def _told(text: str) -> None:
    print(f"qtt: {text}", file=sys.stderr, flush=True)


def _empty(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A new mapped array of zeros, all of whose bytes the disk has room for: else writing would kill the process."""
    x = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
    finally:
        os.close(descriptor)
    return x


def _one(path: Path, convert: Callable[[Path], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    try:
        if path.stat().st_size == 0:
            raise Unusable(f"{path}: is empty")
        return convert(path)
    except OSError as error:
        raise Unusable(f"{path}: cannot be read: {error.strerror or error}") from None


@contextlib.contextmanager
def _progress(root: Path, total: int, entry: Path) -> Iterator[Callable[[int], None]]:
    """Told of files done: a bar on a terminal after two seconds, and one line at the end of a long conversion."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, refresh_per_second=2, transient=True)
    task = bar.add_task(f"preparing {root.name}", total=total)
    started, shown = time.monotonic(), not console.is_terminal

    def step(done: int) -> None:
        nonlocal shown
        bar.update(task, completed=done)
        if not shown and time.monotonic() - started >= LONG:
            shown = True
            with contextlib.suppress(LiveError):  # another bar is being drawn
                bar.start()

    try:
        yield step
    finally:
        if bar.live.is_started:
            bar.stop()
    seconds = time.monotonic() - started
    if seconds >= LONG:
        print(f"qtt: {root}: prepared {total} files in {seconds:.0f} s, kept in {entry}", file=sys.stderr)
