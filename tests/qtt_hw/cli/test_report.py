"""The verb report: what it writes and prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

from tests.qtt_hw.cli.calls import Qtt


def test_a_report_of_a_model_and_of_its_build(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    options = ("--device", "ecp5-25f", "--fps", "50000", "--no-neighbours")
    found = qtt.json("report", qtt_file, "-o", target, *options)
    assert found["report"] == str(target) and found["bytes"] == target.stat().st_size
    assert [section["key"] for section in found["sections"]] == ["hardware", "cycles", "resources", "provenance"]
    kinds = {part["key"]: part["kind"] for section in found["sections"] for part in section["parts"]}
    assert (kinds["network"], kinds["timeline"], kinds["memories"]) == ("drawing", "chart", "table")
    assert f"$ qtt report {qtt_file} -o {target} --device ecp5-25f --fps 50000 --no-neighbours" in target.read_text()
    qtt("emit", qtt_file, "-o", tmp_path / "build")
    again = qtt("report", tmp_path / "build", "-o", target, "--no-neighbours")  # in place of the one before
    assert again.code == 0 and "Where the cycles go" in again.out
    line = qtt.refuses("report", tmp_path / "build", "-o", target, "--clock-mhz", "50")
    assert "clock_mhz 50.0: is for a model or a run" in line
    line = qtt.refuses("report", tmp_path / "build", "-o", target, "--fps", "100")
    assert line.endswith(f"fps 100.0: is for a model or a run; the BUILD {tmp_path / 'build'} has its own plan")


def test_what_is_no_report_is_not_replaced(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "notes.html"
    target.write_text("<html>mine</html>")
    assert qtt.refuses("report", qtt_file, "-o", target).endswith("exists and is not a report; choose another name")
    assert target.read_text() == "<html>mine</html>"
    assert "none.qtt: there is no such model" in qtt.refuses("report", tmp_path / "none.qtt", "-o", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
