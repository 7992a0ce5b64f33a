"""Boards: what a design is built for, and how."""

from __future__ import annotations

import importlib
from pathlib import Path

from boards.board import Board, pins_of
from qtt_hw.near import unknown
from qtt_hw.user_code import load_name

__all__ = ["BOARDS", "Board", "load", "pins_of"]

#: Boards by name, each in a module of its own.
BOARDS = (
    "ulx3s-85f",
    "ulx3s-45f",
    "ulx3s-25f",
    "ulx3s-12f",
    "orangecrab",
    "colorlight-i5",
    "icebreaker",
    "upduino3",
    "tang-nano-9k",
    "tang-nano-20k",
)


def load(name: str) -> Board:
    """The board of that name, or the one that `FILE.py:NAME` defines; raises ValueError naming what is wrong."""
    path, separator, attribute = name.rpartition(":")
    if separator and path.endswith(".py"):
        return _from_file(Path(path), attribute)
    if name not in BOARDS:
        raise unknown("board", name, BOARDS, ", or FILE.py:NAME")
    module = importlib.import_module(f"boards.{name.replace('-', '_')}")
    found: Board = module.BOARD
    return found


def _from_file(path: Path, attribute: str) -> Board:
    board = load_name(path, attribute, "board")
    if not isinstance(board, Board):
        raise ValueError(f"{path}: {attribute} is not a boards.Board")
    return board
