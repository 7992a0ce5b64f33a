"""The verb demo: a folder of something else is refused, and kept."""

from __future__ import annotations

from pathlib import Path

from tests.qtt_hw.cli.calls import Qtt


def test_a_folder_that_holds_something_else_is_refused_and_kept(qtt: Qtt, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "holds no demonstration" in qtt.refuses("demo", "-o", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
