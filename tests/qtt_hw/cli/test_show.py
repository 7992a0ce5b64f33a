"""What verbs show and refuse before they work: values, files to be written, steps, and what others print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from qtt_hw.cli import show
from tests.qtt_hw.cli.calls import NET, Qtt


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["plan", "model.qtt", "--fps", "0"], "qtt: --fps 0: must be above 0"),
        (["plan", "model.qtt", "--clock-mhz", "-3"], "qtt: --clock-mhz -3: must be above 0"),
        (["build", "b", "--frequency", "0"], "qtt: --frequency 0: must be above 0"),
        (["plan", "model.qtt", "--fps", "nan"], "qtt: --fps nan: must be above 0"),
        (["plan", "model.qtt", "--fps", "inf"], "qtt: --fps inf: must be at most 1e+09"),
        (["plan", "model.qtt", "--fps", "1e300"], "qtt: --fps 1e+300: must be at most 1e+09"),
        (["plan", "model.qtt", "--fps", "1e-300"], "qtt: --fps 1e-300: must be at least 1e-06"),
        (["plan", "model.qtt", "--clock-mhz", "0"], "qtt: --clock-mhz 0: must be above 0"),
        (["plan", "model.qtt", "--clock-mhz", "inf"], "qtt: --clock-mhz inf: must be at most 10000"),
        (["build", "b", "--frequency", "nan"], "qtt: --frequency nan: must be above 0"),
        (["build", "b", "--frequency", "1e300"], "qtt: --frequency 1e+300: must be at most 10000"),
        (
            ["compress", "voxtt", "--data", "solids", "--out", "o", "--max-accuracy-drop", "inf"],
            "qtt: --max-accuracy-drop inf: must be at most 100",
        ),
        (
            ["check", "voxtt", "--input", "1,99999,99999,99999"],
            "qtt: --input 1,99999,99999,99999: has more than 67108864 values",
        ),
        (
            ["cosim", "b", "--data", "solids", "--samples", "few"],
            "qtt: --samples few: expected a number from 1, or all",
        ),
        (["cosim", "b", "--data", "solids", "--samples", "0"], "qtt: --samples 0: expected a number from 1, or all"),
        (["cosim", "b", "--data", "solids", "--samples", "-3"], "qtt: --samples -3: expected a number from 1, or all"),
        (
            ["check", "net.py:Net", "--input", "8,15"],
            "qtt: --input 8,15: expected C,D,H,W or C,H,W, numbers above 0, such as 8,15,15,15 or 3,32,32",
        ),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_option(qtt: Qtt, arguments: list[str], line: str) -> None:
    assert qtt.refuses(*arguments) == line


def test_a_result_that_could_not_be_written_is_refused_before_the_work(qtt: Qtt, qtt_file: Path) -> None:
    missing = qtt_file.parent / "nowhere" / "plan.json"
    assert qtt.refuses("plan", qtt_file, "-o", missing) == (
        f"qtt: -o {missing}: the folder {missing.parent} does not exist"
    )
    assert qtt.refuses("plan", qtt_file, "-o", qtt_file.parent).endswith("is a folder; give a file name")


def test_only_a_file_of_its_own_kind_is_replaced(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    thesis, plan = tmp_path / "thesis.txt", tmp_path / "plan.json"
    thesis.write_text("work")
    (tmp_path / "waves.vcd").write_text("work")
    (tmp_path / "own.gtkw").write_text("[*] GTKWave Analyzer")
    run = tmp_path / "run"
    build = ("cosim", tmp_path, "--data", "solids")
    for arguments, what in (
        (("plan", qtt_file, "-o", thesis), "-o {}: exists and is not a plan"),
        (("plan", qtt_file, "-o", qtt_file), "-o {}: exists and is not a plan"),
        (("freeze", run, "-o", thesis), "-o {}: exists and is not a model file"),
        ((*build, "--waves", tmp_path / "waves.vcd"), "--waves {}: exists and is not a waveform"),
    ):
        line = qtt.refuses(*arguments)
        assert line == f"qtt: {what.format(arguments[-1])}; choose another name"
    assert thesis.read_text() == "work"
    line = qtt.refuses(*build, "--waves", tmp_path / "own.fst")
    assert line.endswith("own.gtkw: exists and is not a view that was saved beside a trace; choose another name")
    plan.touch()
    first = qtt.json("plan", qtt_file, "-o", plan)
    assert first == qtt.json("plan", qtt_file, "-o", plan)
    assert {name: value for name, value in first.items() if name != "explanation"} == json.loads(plan.read_text())
    assert "holds no run.json" in qtt.refuses("freeze", run, "-o", qtt_file), "a model file is replaced"


def test_what_a_users_file_prints_does_not_reach_stdout(qtt: Qtt, tmp_path: Path) -> None:
    path = tmp_path / "loud.py"
    path.write_text("print('loud')\n" + NET)
    ran = qtt("check", f"{path}:Plain", "--input", "1,5,5,5", "--json")
    assert json.loads(ran.out)["supported"] is True and ran.err == "loud\n"


def test_long_steps_leave_a_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "LONG", 0.0)
    with show.progress() as step:
        step("first", 1, 2)
        step("first", 2, 2)
        step("second", text="something")
        print("printed")
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.splitlines() == ["first: 2/2 in 0 s", "printed", "second: in 0 s"]


class _Timer:
    """In place of threading.Timer: goes off when it is told to."""

    started: ClassVar[list[_Timer]] = []

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self.seconds, self.action, self.daemon, self.cancelled = seconds, action, False, False

    def start(self) -> None:
        self.started.append(self)

    def cancel(self) -> None:
        self.cancelled = True


def test_a_step_that_takes_long_is_named_while_it_lasts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds after it has begun, off a terminal, whether it tells of progress or not; not after it has ended."""
    monkeypatch.setattr(show.threading, "Timer", _Timer)
    monkeypatch.setattr(_Timer, "started", [])
    with pytest.raises(ValueError, match="broken"), show.progress() as step:
        step("search", text="between 17 and 99 cycles")
        (search,) = _Timer.started
        step("search", text="between 17 and 40 cycles")
        assert (search.seconds, search.daemon) == (2.0, True) and _Timer.started == [search]
        search.action()
        step("depths of FIFOs", 1, 3)
        assert search.cancelled
        step("Verilog")
        raise ValueError("broken")
    assert all(timer.cancelled for timer in _Timer.started) and len(_Timer.started) == 3
    assert capsys.readouterr().err.splitlines() == ["search: between 17 and 40 cycles ..."]
