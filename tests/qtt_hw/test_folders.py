"""Folders known by typed markers: replaced or worked in where they are ours, and nothing of anybody else's removed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from qtt_hw.files import scratch_folder
from qtt_hw.folders import (
    BITSTREAM,
    BUILD,
    COMPRESSION,
    DEMONSTRATION,
    MARKER,
    NETLIST,
    PREPARED,
    RUN,
    Kind,
    claim,
    folder_writer,
    kind_of,
    refuse_foreign,
)
from qtt_hw.locks import Busy, locked

MANIFEST = {
    **dict.fromkeys(("name", "top", "digest", "input", "output", "predicted"), 0),
    "version": 1,
    "sources": {"simulation": ["design.v", "primitives_sim.v"], "ecp5": ["design.v"]},
    "model": "model.qtt",
    "plan": "plan.json",
}
RESULT = dict.fromkeys(("board", "device", "clock_mhz", "fmax_mhz", "critical_path", "placer"), 0)


def write(target: Path, kind: Kind = BUILD, **files: str) -> None:
    with folder_writer(target, kind) as folder:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def tree(folder: Path) -> dict[str, str]:
    """Every file's content by its name, without the marker's."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MARKER
    }


def test_a_folder_replaces_the_one_of_its_kind_with_all_that_was_put_into_it(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "build"
    write(target, a="1", **{"sub/b": "2"})
    assert tree(target) == {"a": "1", "sub/b": "2"} and kind_of(target) is BUILD
    assert json.loads((target / MARKER).read_text()) == {"kind": "build", "version": 1, "files": ["a", "sub/b"]}
    write(target / "ulx3s", BITSTREAM, bits="0")
    step = target / "sim" / f"step-{'0' * 16}"
    step.mkdir(parents=True)
    (step / "library").write_text("")
    (target / "sim" / f"batch-trace-{'f' * 16}").write_text("")
    (target / "sim" / "compile-x1").mkdir()
    (target / ".ulx3s.1-00000000.tmp").mkdir()
    write(target, c="3")
    assert tree(target) == {"c": "3"} and [path.name for path in target.parent.iterdir()] == ["build"]


@pytest.mark.parametrize(
    "name",
    ["thesis.txt", "sub/thesis.txt", "sim/notes.txt", "sim/batch-notes", "ulx3s/thesis.txt", ".hidden", "run/run.json"],
)
def test_a_file_that_is_not_ours_is_named_and_everything_stays(tmp_path: Path, name: str) -> None:
    target = tmp_path / "build"
    write(target, a="1", **{"sub/b": "2"})
    write(target / "ulx3s", BITSTREAM, bits="0")
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text("work")
    before = tree(target)
    with pytest.raises(ValueError, match=f"^{target / name}: was not written by qtt, so {target} is not replaced"):
        write(target, c="3")
    assert tree(target) == before and [path.name for path in tmp_path.iterdir()] == ["build"]


def test_a_file_that_comes_meanwhile_stays_too(tmp_path: Path) -> None:
    target = tmp_path / "build"
    write(target, a="1")
    with pytest.raises(ValueError, match=f"^{target}/late: was not written by qtt"), folder_writer(target, BUILD):
        (target / "late").write_text("work")
    assert tree(target) == {"a": "1", "late": "work"} and [path.name for path in tmp_path.iterdir()] == ["build"]


def test_a_link_in_it_is_not_ours_and_its_target_is_left_alone(tmp_path: Path) -> None:
    target, other = tmp_path / "build", tmp_path / "other"
    other.mkdir()
    (other / "a").write_text("work")
    write(target, a="1")
    (target / "link").symlink_to(other)
    with pytest.raises(ValueError, match="build/link: was not written by qtt"):
        write(target)
    (target / "link").unlink()
    (tmp_path / "named").symlink_to(target)
    write(tmp_path / "named", b="2")
    assert (tmp_path / "named").is_symlink() and tree(target) == {"b": "2"} and tree(other) == {"a": "work"}


def test_a_folder_of_another_kind_or_of_nobody_is_refused(tmp_path: Path) -> None:
    claim(tmp_path / "run", RUN, "")
    with pytest.raises(ValueError, match="run: exists and is a training run, not a BUILD folder; choose another name$"):
        write(tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.json").write_text('{"name": "my app", "version": 1}')
    (tmp_path / "mine" / "thesis.txt").write_text("work")
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    before = tree(tmp_path)
    for name in ("mine", "file", "dangling"):
        with pytest.raises(ValueError, match=f"{name}: exists and is not a BUILD folder; choose another name$"):
            write(tmp_path / name)
    assert tree(tmp_path) == before
    for text in ('{"kind": "build", "version": 0}', '{"kind": "other", "version": 1}', '{"kind": ["build"]}'):
        (tmp_path / "mine" / MARKER).write_text(text)
        with pytest.raises(ValueError, match="exists and is not a BUILD folder"):
            write(tmp_path / "mine")


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    write(tmp_path / "build", a="1")
    assert tree(tmp_path / "build") == {"a": "1"}


def test_what_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "build"
    write(target, a="1")
    with pytest.raises(KeyboardInterrupt), folder_writer(target, BUILD) as folder:
        (folder / "b").write_text("2")
        raise KeyboardInterrupt
    rename = Path.rename

    def fail(self: Path, other: Path) -> Path:
        if other == target and self.name != target.name:
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(KeyboardInterrupt):
        write(target, b="2")
    assert tree(target) == {"a": "1"} and [path.name for path in tmp_path.iterdir()] == ["build"]


def test_a_folder_in_which_a_process_works_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "build"
    write(target, a="1")
    for work in (scratch_folder(target / "ulx3s"), locked(target / ".ulx3s.lock", "ulx3s")):
        with work, pytest.raises(Busy, match=f"ulx3s.*: a process works on it; {target} is not replaced meanwhile$"):
            write(target, b="2")
    assert tree(target) == {"a": "1"}


def test_the_first_of_two_that_write_at_once_is_replaced_by_the_second(tmp_path: Path) -> None:
    target = tmp_path / "build"
    with folder_writer(target, BUILD) as first:
        (first / "a").write_text("1")
        write(target, b="2")
    assert tree(target) == {"a": "1"} and [path.name for path in tmp_path.iterdir()] == ["build"]


def test_folders_from_before_there_were_markers_are_known_by_their_content(tmp_path: Path) -> None:
    build, run = tmp_path / "build", tmp_path / "run"
    (build / "ulx3s").mkdir(parents=True)
    for name in ("design.v", "primitives_sim.v", "model.qtt", "plan.json", "ulx3s/yosys.log", "ulx3s/net.bit"):
        (build / name).write_text("")
    (build / "manifest.json").write_text(json.dumps(MANIFEST))
    (build / "ulx3s" / "result.json").write_text(json.dumps(RESULT | {"bitstream": "build/ulx3s/net.bit"}))
    assert kind_of(build) is BUILD and kind_of(build / "ulx3s") is BITSTREAM
    (build / "ulx3s" / "notes").write_text("work")
    with pytest.raises(ValueError, match="ulx3s/notes: was not written by qtt"):
        write(build)
    (build / "ulx3s" / "notes").unlink()
    write(build, a="1")
    assert tree(build) == {"a": "1"}
    (tmp_path / "netlist").mkdir()
    sources = {"simulation": ["netlist.v", "cells.v"], "ecp5": []}
    (tmp_path / "netlist" / "manifest.json").write_text(json.dumps(MANIFEST | {"sources": sources}))
    assert kind_of(tmp_path / "netlist") is NETLIST
    run.mkdir()
    (run / "run.json").write_text(json.dumps(dict.fromkeys(("version", "config", "data_digest", "labels"))))
    assert kind_of(run) is RUN
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "lock").write_text("")
    shutil.copytree(run, tmp_path / "small" / "dense")
    assert kind_of(tmp_path / "small") is COMPRESSION
    (tmp_path / "demo" / "steps").mkdir(parents=True)
    assert kind_of(tmp_path / "demo") is DEMONSTRATION
    (tmp_path / "demo" / "thesis.txt").write_text("work")
    assert kind_of(tmp_path / "demo") is None
    (tmp_path / "demo" / "steps" / "train.json").write_text('{"key": 0, "file": 0, "seconds": 0, "result": {}}')
    assert kind_of(tmp_path / "demo") is DEMONSTRATION
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / "skipped.json").write_text("{}")
    assert kind_of(tmp_path / "entry") is PREPARED
    for name in ("manifest.json", "run.json", "result.json"):
        (tmp_path / name).write_text("[1]")
    assert kind_of(tmp_path) is None


def test_a_folder_to_work_in(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    for _ in range(2):
        claim(folder, RUN, "is not empty")
    assert kind_of(folder) is RUN and [path.name for path in folder.iterdir()] == [MARKER]
    with pytest.raises(ValueError, match="run: exists and is a training run, not a compression; choose another name"):
        claim(folder, COMPRESSION, "is not empty")
    (tmp_path / "mine").mkdir()
    with locked(tmp_path / "mine" / ".x.lock", "x"):
        claim(tmp_path / "mine", RUN, "is not empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="^.*file: is not empty$"):
        claim(tmp_path / "file", RUN, "is not empty")


@pytest.mark.parametrize(
    "name",
    [
        ".package.lock",
        ".work.lock/thesis.txt",
        "sim/compile-notes.txt",
        "sim/compile-old/thesis.txt",
        "sim/compile-old_1234",
        "sim/x-0123456789abcdef/thesis.txt",
        "sim/batch-0123456789abcdef/thesis.txt",
        "sim/x-0123456789abcdef",
    ],
)
def test_what_is_only_called_like_ours_is_not_removed(tmp_path: Path, name: str) -> None:
    with folder_writer(tmp_path / "build", BUILD) as made:
        (made / "design.v").write_text("module")
    mine = tmp_path / "build" / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("work")
    with pytest.raises(ValueError, match="was not written by qtt, so .* is not replaced"):
        refuse_foreign(tmp_path / "build", BUILD)
    assert mine.read_text() == "work"


@pytest.mark.parametrize("name", ["compile-a_c4efgh/x.o", "qtt-kept-12-abcdefgh/x", "batch-0123456789abcdef"])
def test_what_killed_processes_left_goes_with_the_folder(tmp_path: Path, name: str) -> None:
    with folder_writer(tmp_path / "build", BUILD) as made:
        (made / "design.v").write_text("module")
    left = tmp_path / "build" / "sim" / name
    left.parent.mkdir(parents=True)
    left.touch()
    refuse_foreign(tmp_path / "build", BUILD)


def test_a_folder_below_a_file_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is not a folder; choose another name$"):
        refuse_foreign(tmp_path / "file" / "a" / "build", BUILD)
