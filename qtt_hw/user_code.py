"""A user's Python file: executed, and what it defines looked up and called, with errors that name file and line."""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from qtt_hw.near import did_you_mean
from qtt_hw.process import Terminated

__all__ = ["call", "load_module", "load_name", "running"]

#: Modules beside users' files that these imported: another file's may have the same names.
_beside: set[str] = set()


def load_module(path: Path) -> ModuleType:
    """The module of a Python file, executed anew from its present text, with its own folder importable while it runs.

    It stands in sys.modules under a name of its own, where dataclasses and typing look for it; a file of the same name
    elsewhere, or a package that is called like it, has another.

    Raises
    ------
    ValueError
        When there is no such file, or it raises anything: with the line.
    """
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; expected a Python file")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    real = path.resolve()
    name = f"qtt_user_{real.stem}_{hashlib.sha256(str(real).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None:
        raise ValueError(f"{path}: is not called as a Python file is; expected .py")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    while _beside:
        sys.modules.pop(_beside.pop(), None)
    known = set(sys.modules)
    try:
        with running(path):
            linecache.checkcache(str(real))
            # Not by the loader: a text that is edited within a second would be taken from its cache.
            exec(compile(real.read_bytes(), str(real), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    finally:
        _beside.update(key for key in set(sys.modules) - known if _stands_in(real.parent, key))
    return module


def _stands_in(folder: Path, name: str) -> bool:
    """Whether a module, or the package that it is part of, is a file of the folder."""
    file, top = getattr(sys.modules[name], "__file__", None), name.partition(".")[0]
    return file is not None and (Path(file) == folder / f"{top}.py" or Path(file).is_relative_to(folder / top))


def load_name(path: Path, name: str, what: str = "class or function") -> Any:
    """What a Python file defines under a name; `what` it is to be stands in the message when it is not there.

    Raises
    ------
    ValueError
        As of `load_module`; when there is nothing of that name, with the one that comes nearest.
    """
    module = load_module(path)
    try:
        return getattr(module, name)
    except AttributeError:
        own = [key for key in vars(module) if not key.startswith("_")]
        hint = did_you_mean(name, own)
        raise ValueError(f"{path}: has no {what} {name or 'without a name'}{hint}") from None


def call(path: Path, name: str, **arguments: Any) -> Any:
    """What a class or function in a Python file makes of the arguments.

    Raises
    ------
    ValueError
        As of `load_name`; when that cannot be called, or raises anything: with the line.
    """
    make = load_name(path, name)
    if not callable(make) or hasattr(type(make), "forward"):  # a network, whose call is its forward
        raise ValueError(f"{path}:{name}: is a {type(make).__name__}, expected a class or a function")
    with running(path, name):
        return make(**arguments)


@contextmanager
def running(path: Path, name: str | None = None) -> Iterator[None]:
    """While a user's code runs: the file's own folder comes first in imports, and what is raised becomes one line."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    except (KeyboardInterrupt, Terminated, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit too: a file that ends the program has not run
        raise ValueError(f"{_where(path, name, error)}: {type(error).__name__}: {_message(error)}") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _where(path: Path, name: str | None, error: BaseException) -> str:
    """The file, with the last line of it that led to the error and with what was called in it."""
    file = str(path.resolve())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno)
    where = f"{path}:{lines[-1]}" if lines else str(path)
    return where if name is None else f"{where}: {name}" if lines else f"{where}:{name}"


def _message(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(text.split()) or "without a message"
