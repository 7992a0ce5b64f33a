"""The verbs run and board: a port that does not answer, options that cannot be, and both together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.qtt_hw.cli.calls import Qtt


@pytest.fixture
def build(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> Path:
    assert qtt("emit", qtt_file, "-o", tmp_path / "build").code == 0
    return tmp_path / "build"


DATA = ("--data", "solids", "--samples", "2")


def test_ports_and_options_that_cannot_be(qtt: Qtt, build: Path, tmp_path: Path) -> None:
    run = ("run", build, *DATA, "--port")
    assert f"{tmp_path}/none: cannot be opened: No such file" in qtt.refuses(*run, tmp_path / "none")
    (tmp_path / "plain").touch()
    assert f"{tmp_path}/plain: is not a serial port" in qtt.refuses(*run, tmp_path / "plain")
    master, slave = os.openpty()
    try:
        port = os.ttyname(slave)
        line = qtt.refuses(*run, port, "--timeout", "0.3")
        assert f"{port}: no answer to the opening within 0.3 s; nothing came at all: check the port" in line
        assert "this system has no baud rate of 1562500" in qtt.refuses(*run, port, "--baud", 1_562_500)
        assert "baud: 15000000 baud is not within 2 % of a division" in qtt.refuses(*run, port, "--baud", 15_000_000)
        assert "--timeout 0: must be above 0" in qtt.refuses(*run, port, "--timeout", 0)
        other = qtt.refuses(*run, port, "--board", "icebreaker")
        assert "build: holds no sources for ice40; plan it for a device of that family" in other
        nowhere = ("run", build, "--data", tmp_path / "nowhere", "--port", tmp_path / "none")
        assert "none: cannot be opened" in qtt.refuses(*nowhere), "before data are read"
        assert "--samples 9999: the test split has" in qtt.refuses("run", build, "--port", port, *DATA[:3], "9999")
    finally:
        os.close(master)
        os.close(slave)
    assert "there is no manifest" in qtt.refuses("run", tmp_path, *DATA, "--port", "x")
    assert "--drop 0.9: must be at most 0.5" in qtt.refuses("board", build, "--drop", 0.9)
    kept = tmp_path / "plain"
    assert f"--link {kept}: exists and is not a link" in qtt.refuses("board", build, "--link", kept)
    assert "there is no manifest" in qtt.refuses("board", tmp_path)


@pytest.mark.long
def test_a_board_runs_until_it_is_interrupted_and_answers_meanwhile(qtt: Qtt, build: Path, tmp_path: Path) -> None:
    link = tmp_path / "board.tty"
    command = [sys.executable, "-m", "qtt_hw", "board", str(build), "--link", str(link), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as board:
        try:
            assert board.stdout is not None
            said = json.loads(board.stdout.readline())
            assert said == {"port": os.path.realpath(link), "link": str(link), "board": "ulx3s-85f"}
            found = qtt.json("run", build, "--port", link, *DATA, "--timeout", 60)
            assert found["equal"] and found["cycles_equal"] and found["samples"] == 2
            assert found["cycles"] == found["predicted_cycles"] and found["latency"] == found["predicted_latency"]
            # Frames may be repeated where the processors are busy; on a clean line none is broken.
            assert 0 <= found["accuracy"] <= 1 and found["broken"] == 0
            shown = qtt("run", build, "--port", link, *DATA, "--timeout", 60)
            assert shown.code == 0 and "yes, every logit and every class" in shown.out
            board.send_signal(signal.SIGINT)
            until = time.monotonic() + 60
            while board.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            assert board.returncode == 130 and not link.is_symlink()
        finally:
            board.kill()
