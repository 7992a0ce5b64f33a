"""A command's process: signals, errors and exit codes, at every moment of its life."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qtt_hw.process import Terminated, UsageError, run_command

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

WAITING = """
import signal, sys, time
from qtt_hw.process import run_command
def work():
    print("works", flush=True)
    time.sleep(60)
code = run_command("tool", work, whole=True)
{behind}
sys.exit(code)
"""

#: Another thread takes the signal, which for the main one is as if it came just before the wait: nothing wakes it.
ASLEEP = """
import signal, sys, threading
from qtt_hw.process import run_command
def work():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [int(sys.argv[1])])
    print("works", flush=True)
    threading.Event().wait()
sys.exit(run_command("tool", work, whole=True))
"""

UNUSED = """
import os, signal
from amaranth.hdl import Elaboratable
from qtt_hw.process import run_command
class Part(Elaboratable):
    def elaborate(self, platform):
        return None
def work():
    parts = [Part() for _ in range(3)]
    parts.append(parts)
    {end}
raise SystemExit(run_command("tool", work, whole=True))
"""


def fail(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("a: two\n lines"), 1, "tool: a: two lines"),
        (OSError(28, "No space left on device", "f"), 1, "tool: f: No space left on device"),
        (OSError("odd"), 1, "tool: odd"),
        (KeyboardInterrupt(), 130, "tool: interrupted"),
        (Terminated(signal.SIGTERM), 143, "tool: terminated"),
        (UsageError("no such verb"), 2, "tool: no such verb"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("tool", lambda: fail(error)) == code
    assert capsys.readouterr() == ("", f"{line}\n")


def test_results_and_faults_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("tool", lambda: None) == 0 and run_command("tool", lambda: 3) == 3
    assert run_command("tool", lambda: fail(RuntimeError("a\nfault"))) == 1
    line = r"tool: a fault of the program: RuntimeError: a fault in .*test_process.py:\d+; QTT_DEBUG=1 shows more\n"
    assert re.fullmatch(line, capsys.readouterr().err)
    assert run_command("tool", lambda: fail(ModuleNotFoundError("no torch", name="torch"))) == 1
    assert capsys.readouterr().err == "tool: this needs torch: pip install 'qtt-hw[train]'\n"
    assert run_command("tool", lambda: fail(ModuleNotFoundError("no own", name="own"))) == 1
    assert "a fault of the program: ModuleNotFoundError: no own" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("refused"), RuntimeError("a fault"), OSError(28, "full", "f")])
def test_the_traceback_is_shown_to_who_asks(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_command("tool", lambda: fail(error), debug=True) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):\n") and "in fail\n" in said
    assert said.splitlines()[-1].startswith("tool: ")
    monkeypatch.setenv("QTT_DEBUG", "1")
    assert run_command("tool", lambda: fail(error)) == 1
    assert capsys.readouterr().err.startswith("Traceback")
    monkeypatch.setenv("QTT_DEBUG", "0")
    assert run_command("tool", lambda: fail(error)) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_handlers_come_back_and_ignored_signals_stay_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    before = {number: signal.getsignal(number) for number in HANDLED}
    assert run_command("tool", lambda: os.kill(os.getpid(), signal.SIGHUP)) == 128 + signal.SIGHUP
    assert {number: signal.getsignal(number) for number in HANDLED} == before
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_command("tool", lambda: os.kill(os.getpid(), signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before[signal.SIGHUP])


@pytest.mark.parametrize(("number", "word"), [(2, "interrupted"), (15, "terminated"), (1, "terminated")])
def test_a_signal_ends_a_process_in_one_line(number: int, word: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING.format(behind="")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "works\n"
        child.send_signal(number)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (128 + number, f"tool: {word}\n")


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_is_not_slept_through(number: signal.Signals, word: str, default_signals: None) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", ASLEEP, str(int(number))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == "works\n"
        child.send_signal(number)
        _, said = child.communicate(timeout=30)
    finally:
        child.kill()
    assert (child.returncode, said) == (128 + number, f"tool: {word}\n")


def test_a_signal_behind_the_work_ends_the_process_without_a_word() -> None:
    behind = "print('behind', flush=True)\ntime.sleep(60)"
    script = WAITING.replace("time.sleep(60)", "", 1).format(behind=behind)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in range(2)] == ["works\n", "behind\n"]
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("end", "code", "line"),
    [
        ("os.kill(os.getpid(), signal.SIGINT)", 130, "tool: interrupted\n"),
        ("raise ValueError('refused')", 1, "tool: refused\n"),
    ],
)
def test_parts_of_a_design_that_was_not_finished_say_nothing(end: str, code: int, line: str) -> None:
    done = subprocess.run([sys.executable, "-c", UNUSED.format(end=end)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (code, line)


def test_an_interrupt_within_text_that_is_executed_has_the_same_code(tmp_path: Path) -> None:
    script = "import os\nfrom qtt_hw.process import run_command\n"
    script += "def work(): exec('os.kill(os.getpid(), 2)')\nraise SystemExit(run_command('tool', work, whole=True))"
    (tmp_path / "tool.py").write_text(script)
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "tool"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert (done.returncode, done.stderr) == (130, "tool: interrupted\n")


@pytest.mark.parametrize("module", ["qtt_hw", "qtt_hw.cli"])
def test_a_signal_finds_the_handler_before_the_slow_imports(module: str, tmp_path: Path) -> None:
    script = f"import sys, {module}\nprint(sorted(set(sys.modules) & {{'typing', 'typer', 'rich', 'numpy', 'torch'}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
