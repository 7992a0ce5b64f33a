"""Npz files read without pickle, and bounds on what a small file may unpack to."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_unpacked", "npz_keys", "read_npz", "reason"]

#: Bytes up to which a file may unpack to whatever it likes, and how many times its own size it may be beyond that:
#: deflate reaches a thousandfold on zeros, voxels of real shapes stay below a hundredfold.
FREE, TIMES = 1 << 28, 250


def reason(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def check_unpacked(path: Path, size: int) -> None:
    """Refuse a compressed file that says that it unpacks to so many bytes, where no data set does.

    Raises
    ------
    ValueError
        One line that names the file.
    """
    packed = path.stat().st_size
    if size > FREE and size > TIMES * packed:
        raise ValueError(
            f"{path}: {packed} bytes would unpack to {size / 2**30:.1f} GiB, more than {TIMES} times as much; "
            "where that is meant, store it uncompressed"
        )


def npz_keys(path: Path) -> tuple[str, ...]:
    """The names of the arrays of an npz file, of which none is read; none where it is no such file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return ()


def _unpacked(path: Path, keys: Sequence[str] | None) -> int:
    """Bytes of the arrays of the given keys, or of all, as the archive's directory states them."""
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
    return sum(size for key, size in sizes.items() if keys is None or key in keys)


def read_npz(path: Path, keys: Sequence[str] | None = None) -> dict[str, NDArray]:
    """Every array of an npz file, or those of the given keys, without pickle.

    Raises
    ------
    ValueError
        One line that names the file.
    """
    try:
        size = _unpacked(path, keys)
    except Exception as error:  # zipfile and EOF errors share no base class
        raise ValueError(f"{path}: not a readable npz file of plain arrays: {reason(error)}") from None
    check_unpacked(path, size)
    try:
        # The stream is ours to close: numpy leaves its own open when the archive is damaged.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            wanted = archive.files if keys is None else keys
            found = {key: archive[key] for key in wanted if key in archive}
    except Exception as error:  # nor do those of zlib
        raise ValueError(f"{path}: not a readable npz file of plain arrays: {reason(error)}") from None
    for key in keys or ():
        if key not in found:
            raise ValueError(f"{path}: has no {key}")
    return found
