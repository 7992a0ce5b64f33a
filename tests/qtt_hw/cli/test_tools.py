"""`qtt doctor` and `qtt program`, as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qtt_hw import diagnosis
from tests.qtt_hw.cli.calls import Qtt


def test_doctor_ends_with_1_only_where_something_needed_lacks(qtt: Qtt, monkeypatch: pytest.MonkeyPatch) -> None:
    found = qtt.json("doctor")
    assert found["complete"] is True and {"name", "state", "install"} <= set(found["parts"][0])
    monkeypatch.setattr(diagnosis, "requires", lambda name: ["numpy>=999"])
    old = qtt("doctor")
    assert old.code == 1 and "WRONG VERSION" in old.out and "pip install 'qtt-hw'" in old.out


def test_a_dry_run_prints_the_command_alone(qtt: Qtt, tmp_path: Path) -> None:
    assert "there is no bitstream; make it with" in qtt.refuses("program", tmp_path)
    folder = tmp_path / "ulx3s-85f"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps({"bitstream": "net.bit"}))
    (folder / "net.bit").write_bytes(b"bits")
    shown = qtt("program", tmp_path, "--dry-run")
    assert shown.code == 0 and shown.out.endswith(f"-b ulx3s {folder / 'net.bit'}\n")
    assert "ulx4s" in qtt.refuses("program", tmp_path, "--board", "ulx4s")
