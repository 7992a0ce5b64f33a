"""C++ beside a Python module, compiled once per machine into the user's cache and loaded by ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.children import run
from qtt_hw.files import scratch_folder

__all__ = ["Table", "load_library"]

COMMAND = ("g++", "-std=c++17", "-O2", "-shared", "-fPIC")


class Table:
    """A ctypes argument: a contiguous array of one type, by its address.

    numpy's own, `ndpointer`, takes several times as long to check an array.

    Parameters
    ----------
    kind : dtype
        Of the entries.
    """

    def __init__(self, kind: np.dtype[Any]):
        self.kind = kind

    def from_param(self, array: NDArray[Any]) -> ctypes.c_void_p:
        """Raises TypeError where C++ would read something else."""
        if array.dtype != self.kind or not array.flags.c_contiguous:
            raise TypeError(f"an array of {array.dtype} is given where one of {self.kind} in a row is read")
        return ctypes.c_void_p(array.__array_interface__["data"][0])


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qtt-hw"


def load_library(source: Path) -> ctypes.CDLL:
    """The shared library of one C++ file.

    Parameters
    ----------
    source : Path
        Compiled at the first use of this content; takes about a second. Where the cache cannot be written, in every
        process.

    Raises
    ------
    ValueError
        Without g++, or when it refuses the file: its first error.
    """
    key = hashlib.sha256(repr((COMMAND, platform.machine(), platform.libc_ver())).encode() + source.read_bytes())
    kept = _cache() / f"{source.stem}-{key.hexdigest()[:16]}.so"
    if kept.is_file():
        return ctypes.CDLL(str(kept))
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(kept) as folder:
            made = folder / kept.name
            _compile(source, made)
            made.replace(kept)
    except OSError:  # nothing can be kept there
        with tempfile.TemporaryDirectory(prefix="compile-") as name:
            made = Path(name) / kept.name
            _compile(source, made)
            return ctypes.CDLL(str(made))  # stays loaded when the file is gone
    return ctypes.CDLL(str(kept))


def _compile(source: Path, made: Path) -> None:
    try:
        command = [*COMMAND, str(source), "-o", str(made)]
        done = run(command, cwd=made.parent, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        raise ValueError(f"{source.name} needs a C++ compiler: the program g++ is not on PATH") from None
    if done.returncode != 0:
        lines = done.stderr.splitlines()
        errors = [line for line in lines if "error:" in line] or lines[-1:] or ["no message"]
        raise ValueError(f"{source}: g++ refuses it: {errors[0].strip()}")
