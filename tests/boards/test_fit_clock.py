"""The clock of a bitstream: reached, confirmed by a placement for it, and raised where it is confirmed by far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import boards
from boards.build import CONFIRMATIONS, _fitted, _reached

BOARD = boards.load("ulx3s-85f")


def fitted(first: float, reached: Sequence[float], tmp_path: Path) -> tuple[float, list[float], str]:
    """The clock, those that were asked for, and what is left in the work folder."""
    work, saved = tmp_path / "work", tmp_path / "saved"
    work.mkdir()
    saved.mkdir()
    asked: list[float] = []

    def again(mhz: float) -> tuple[float, Any]:
        (work / "placed").write_text(f"{mhz:g}")
        asked.append(mhz)
        return reached[len(asked) - 1], mhz

    clock, made = _fitted(BOARD, first, again, work, saved)
    assert made == clock
    return clock, asked, (work / "placed").read_text()


def at(mhz: float) -> float:
    return _reached(BOARD, mhz)


def test_a_clock_that_is_confirmed_stands(tmp_path: Path) -> None:
    clock, asked, left = fitted(120, [121], tmp_path)
    assert clock == at(120) and asked == [clock] and left == f"{clock:g}"


def test_a_clock_that_is_confirmed_by_far_is_raised(tmp_path: Path) -> None:
    clock, asked, left = fitted(100, [130, 131], tmp_path)
    assert asked == [at(100), at(130)] and clock == at(130) and left == f"{clock:g}"


def test_what_was_confirmed_is_kept_where_a_faster_clock_is_not(tmp_path: Path) -> None:
    clock, asked, left = fitted(100, [130, 110], tmp_path)
    assert asked == [at(100), at(130)] and clock == at(100) and left == f"{clock:g}"


def test_a_clock_that_is_not_confirmed_is_lowered(tmp_path: Path) -> None:
    clock, asked, _ = fitted(120, [115, 116], tmp_path)
    assert asked == [at(120), at(115 * 0.98)] and clock == asked[-1]


@pytest.mark.parametrize("reached", [[90, 80, 70, 60], [130, 150, 170, 190]])
def test_there_are_so_many_tries(reached: list[float], tmp_path: Path) -> None:
    assert len(fitted(100, reached, tmp_path)[1]) == CONFIRMATIONS
