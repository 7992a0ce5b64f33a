"""The command as a process: faults, warnings and signals, each one line, and nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.qtt_hw.cli.calls import Qtt


def test_a_signal_in_training_is_one_line_and_the_shells_code(
    qtt: Qtt, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qtt_hw.training as training
    from qtt_hw.training.stop import Interrupted

    def stop(*_: object, **__: object) -> None:
        raise Interrupted("run", 15)

    monkeypatch.setattr(training, "train", stop)
    line = qtt.refuses("train", config, "--data", "solids", "--out", tmp_path / "run", code=143)
    assert line == "qtt: run: stopped by SIGTERM; the same command goes on from here"

    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", press)
    assert qtt.refuses("train", config, "--data", "solids", "--out", "run", code=130) == "qtt: interrupted"


def test_a_fault_of_the_program_is_not_hidden(qtt: Qtt, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import qtt_hw.training as training

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(training, "train", fail)
    line = qtt.refuses("train", config, "--data", "solids", "--out", "run")
    assert line.startswith("qtt: a fault of the program: RuntimeError: a fault in ")
    assert line.endswith("; --debug shows more")


@pytest.mark.parametrize("place", [0, 1, 4])
def test_debug_shows_the_traceback_before_the_verb_and_behind_it(qtt: Qtt, place: int) -> None:
    arguments = ["eval", "none.qtt", "--data", "solids"]
    ran = qtt(*arguments[:place], "--debug", *arguments[place:])
    assert ran.code == 1 and ran.err.startswith("Traceback (most recent call last):\n")
    assert ran.err.splitlines()[-1] == "qtt: none.qtt: No such file or directory"
    assert qtt.refuses(*arguments) == "qtt: none.qtt: No such file or directory"


def test_a_warning_is_one_line(qtt: Qtt, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "import warnings\nfrom torch import nn\n\n\ndef Net():\n"
        "    warnings.simplefilter('always')\n    warnings.warn('too\\nlarge')\n"
        "    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.Flatten(), nn.Linear(108, 2))\n"
    )
    ran = qtt("check", f"{path}:Net", "--input", "1,5,5,5")
    assert ran.code == 0 and ran.err == "qtt: warning: too large\n"


@pytest.mark.usefixtures("default_signals")
def test_sigterm_removes_what_is_half_written(
    qtt: Qtt, qtt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rtl_gen.emit

    def kill(*_: object, **__: object) -> None:
        assert any(path.name.startswith(".build.") for path in tmp_path.iterdir())
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(rtl_gen.emit, "save_plan", kill)
    assert qtt.refuses("emit", qtt_file, "-o", tmp_path / "build", code=143) == "qtt: terminated"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_in_the_middle_of_emission_is_one_line_and_leaves_nothing(
    qtt_file: Path, tmp_path: Path, number: signal.Signals, word: str
) -> None:
    command = [sys.executable, "-m", "qtt_hw", "emit", str(qtt_file), "-o", str(tmp_path / "build")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while not any(path.name.startswith(".build.") for path in tmp_path.iterdir()):
            assert child.poll() is None
            time.sleep(0.001)
        child.send_signal(number)
        out, err = child.communicate(timeout=120)
    steps, said = err.splitlines()[:-1], err.splitlines()[-1]  # steps are told of where they take over two seconds
    assert (child.returncode, out, said) == (128 + number, "", f"qtt: {word}")
    assert not any("Traceback" in step for step in steps) and len(steps) <= 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("default_signals")
def test_a_sigterm_that_was_ignored_stays_ignored(
    qtt: Qtt, qtt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rtl_gen.emit

    save = rtl_gen.emit.save_plan
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    monkeypatch.setattr(rtl_gen.emit, "save_plan", lambda *given: (os.kill(os.getpid(), signal.SIGTERM), save(*given)))
    qtt("emit", qtt_file, "-o", tmp_path / "build")
    assert (tmp_path / "build" / "manifest.json").is_file()
