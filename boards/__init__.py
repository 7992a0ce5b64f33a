"""Boards: what a design is built for, and how."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from boards.board import Board
from qtt_hw.errors import short

__all__ = ["BOARDS", "Board", "load"]

#: Boards by name, each in a module of its own.
BOARDS = ("ulx3s-85f",)


def load(name: str) -> Board:
    """The board of that name, or the one that `FILE.py:NAME` defines; raises ValueError naming what is wrong."""
    path, separator, attribute = name.rpartition(":")
    if separator and path.endswith(".py"):
        return _from_file(Path(path), attribute)
    if name not in BOARDS:
        raise ValueError(f"board {name!r} is not known; known are {', '.join(BOARDS)}, or FILE.py:NAME")
    module = importlib.import_module(f"boards.{name.replace('-', '_')}")
    found: Board = module.BOARD
    return found


def _from_file(path: Path, attribute: str) -> Board:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path}: cannot be run: {short(error) or type(error).__name__}") from None
    board = getattr(module, attribute, None)
    if not isinstance(board, Board):
        raise ValueError(f"{path}: {attribute} is not a boards.Board")
    return board
