"""A committed model on a simulated board: objects of ModelNet10 over a bad line, while hosts are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import qtt_hw
from qtt_hw.graph.file import load

ROOT = Path(__file__).parents[2]
QTT = [sys.executable, "-m", "qtt_hw"]
#: Bytes of a hundred that are changed, and that are lost.
NOISE = ["--corrupt", "0.01", "--drop", "0.01", "--seed", "7"]
TIMEOUT = 120.0
#: Objects; docs/results.md has what 50 of them showed.
OBJECTS = os.environ.get("QTT_OBJECTS", "10")


@pytest.mark.long
@pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")
def test_objects_over_a_bad_line_while_hosts_are_killed(tmp_path: Path) -> None:
    build, link = tmp_path / "build", tmp_path / "board.tty"
    graph = load(ROOT / "models" / "voxtt-modelnet10.qtt")
    plan = qtt_hw.plan(graph, "ecp5-85f", fps=1000)
    qtt_hw.emit(graph, build, plan)
    data = str(Path(os.environ["QTT_DATA"]) / "modelnet10")
    run = [*QTT, "run", str(build), "--port", str(link), "--data", data, "--timeout", str(TIMEOUT), "--json"]
    with subprocess.Popen([*QTT, "board", str(build), "--link", str(link), *NOISE], stdout=subprocess.DEVNULL) as board:
        try:
            until = time.monotonic() + 1200
            while not link.is_symlink():
                assert board.poll() is None and time.monotonic() < until, "the board does not start"
                time.sleep(0.2)
            for seconds in (20, 33):  # in the middle of some sample
                with subprocess.Popen([*run, "--samples", OBJECTS], stdout=subprocess.DEVNULL) as host:
                    time.sleep(seconds)
                    assert host.poll() is None
                    host.kill()
            done = subprocess.run([*run, "--samples", OBJECTS], capture_output=True, text=True)
        finally:
            board.terminate()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["equal"] and found["samples"] == int(OBJECTS)
    assert found["cycles_equal"] and found["latency"] == found["predicted_latency"] == plan.latency
    assert found["cycles"] == found["predicted_cycles"] == plan.cycles
    assert found["repeated"] > 20 * int(OBJECTS) and found["broken"] > 20 * int(OBJECTS)
