"""What a verb imports: nothing that it does not need, and who has to wait for it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qtt_hw.cli import show
from tests.qtt_hw.cli.calls import Qtt

#: Slow, or not there without an extra.
HEAVY = ("torch", "matplotlib", "scipy", "optuna", "cocotb", "plotly", "pyosys", "cv2", "av", "mkdocs")

#: Every verb that takes a model's file or a BUILD; compilers and synthesis, which are processes of their own, refuse.
VERBS = """
import json, sys
import boards.build, sim.cosim
from qtt_hw.cli import main
def refuse(*_, **__):
    raise ValueError("enough")
boards.build.synthesise = sim.cosim.compile_batch = refuse
model, folder = sys.argv[1:]
plan, build = f"{folder}/plan.json", f"{folder}/build"
codes = [
    main(["plan", model, "-o", plan]),
    main(["emit", model, "--plan", plan, "-o", build]),
    main(["eval", model, "--data", "solids"]),
    main(["cosim", build, "--data", "solids"]),
    main(["build", build]),
]
print(json.dumps([codes, sorted(sys.modules)]))
"""


def test_no_verb_imports_what_it_does_not_need(qtt_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", VERBS, str(qtt_file), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    codes, modules = json.loads(done.stdout.splitlines()[-1])
    assert codes == [0, 0, 0, 1, 1] and done.stderr.count("qtt: enough\n") == 2
    assert not set(HEAVY) & set(modules)


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_takes_less_than_half_a_second(argument: str) -> None:
    script = (
        "import sys\nfrom qtt_hw.cli import main\nmain()\nassert not {'torch', 'numpy', 'amaranth'} & set(sys.modules)"
    )
    taken = []
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", script, argument], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        taken.append(used.ru_utime + used.ru_stime)  # of the processor: others may be at work
    assert min(taken) < 0.5


def test_slow_imports_are_told_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "LONG", 0.0)
    with show.imports("torch"):
        pass
    assert capsys.readouterr().err == "imports: in 0 s\n"
    monkeypatch.setenv("RANK", "1")
    with show.imports("torch"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch, qtt: Qtt) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert qtt.refuses("check", "voxtt") == "qtt: this needs torch: pip install 'qtt-hw[train]'"
