"""The demonstration's steps: kept as long as nothing before them changed, and only then."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from qtt_hw.demonstration import _Steps, demo
from qtt_hw.folders import DEMONSTRATION, MARKER, claim
from qtt_hw.locks import Busy, locked
from qtt_hw.progress import silent
from qtt_hw.training import load_config


class Counted(BaseModel):
    value: int


class Calls:
    """A demonstration of two steps, the first of which writes a file; counts what is made anew."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, list[str]()

    def run(self, first: str = "a", second: str = "b") -> tuple[int, int]:
        steps = _Steps(self.folder, silent)
        file = self.folder / "file"

        def one() -> Counted:
            self.made.append("one")
            file.write_text("content")
            return Counted(value=1)

        def two() -> Counted:
            self.made.append("two")
            return Counted(value=2)

        found = steps.run("one", Counted, first, one, writes=lambda _: file), steps.run("two", Counted, second, two)
        assert set(steps.seconds) == {"one", "two"}
        return found[0].value, found[1].value


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    return Calls(tmp_path)


def test_a_second_call_keeps_every_step(calls: Calls) -> None:
    assert calls.run() == calls.run() == (1, 2)
    assert calls.made == ["one", "two"]


def test_steps_behind_a_change_are_made_anew(calls: Calls) -> None:
    calls.run()
    calls.run(second="c")
    assert calls.made == ["one", "two", "two"]
    calls.run(first="z", second="c")
    assert calls.made == ["one", "two", "two", "one", "two"]


@pytest.mark.parametrize("spoil", ["edit", "remove"])
def test_a_step_whose_file_changed_is_made_anew(calls: Calls, spoil: str) -> None:
    calls.run()
    if spoil == "edit":
        (calls.folder / "file").write_text("other")
    else:
        (calls.folder / "file").unlink()
    calls.run()
    assert calls.made == ["one", "two", "one"]


def test_a_damaged_result_is_made_anew(calls: Calls) -> None:
    calls.run()
    for content in ("", "[]", json.dumps({"key": "0"})):
        (calls.folder / "two.json").write_text(content)
        assert calls.run() == (1, 2)
    assert calls.made == ["one", "two", "two", "two", "two"]
    assert sorted(path.name for path in calls.folder.iterdir()) == ["file", "one.json", "two.json"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists and holds no demonstration; choose another folder"):
        demo(tmp_path)
    (tmp_path / "steps").mkdir()
    with pytest.raises(ValueError, match="exists and holds no demonstration; choose another folder"):
        demo(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["steps", "thesis.txt"]


def test_of_two_in_one_folder_the_second_is_refused(tmp_path: Path) -> None:
    claim(tmp_path, DEMONSTRATION, "")
    with locked(tmp_path / ".demo.lock", ""), pytest.raises(Busy, match=f"^{tmp_path}: process {os.getpid()} on "):
        demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]


def test_the_configuration_is_part_of_the_package() -> None:
    from importlib.resources import files

    config = load_config(str(files("qtt_hw") / "configs" / "voxtt-tiny.toml"))
    assert config.data.options == {"edge": 16, "classes": 6, "per_class": 200}
    assert config.quant is not None and config.train.threads == 1
