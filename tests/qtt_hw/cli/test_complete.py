"""What a shell completes, as functions and as a shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qtt_hw.cli import complete


def test_names_and_files_of_the_kinds_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    for name in ("res.qtt", "res.toml", "res.py", "notes.txt", "deep/own.npz", "deep/own.qtt"):
        (tmp_path / name).touch()
    assert complete.planned("res") == ["res.qtt", "resnet20", "resnet32", "resnet44", "resnet56", "res.py", "res.toml"]
    assert complete.models("") == ["res.qtt"] and complete.configurations("r") == ["res.toml"]
    assert complete.models("deep/o") == ["deep/own.qtt"] and complete.data("deep/") == ["deep/own.npz"]
    assert complete.data("ci") == ["cifar10", "cifar100"] and complete.data("so") == ["solids"]
    assert complete.devices("ecp5-8") == ["ecp5-85f"] and complete.boards("ulx3s-8") == ["ulx3s-85f"]
    assert complete.splits("v") == ["validation"] and complete.scales("") == ["tensor", "channel"]
    assert complete.models("nowhere/x") == [] and complete.accelerators("cu") == ["cuda"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("qtt plan model.qtt --device ecp5-", ["ecp5-12f", "ecp5-25f", "ecp5-45f", "ecp5-85f"]),
        ("qtt check vg", ["vgg16"]),
        ("qtt pl", ["plan"]),
    ],
)
def test_a_shell_is_answered_without_the_slow_imports(line: str, found: list[str]) -> None:
    script = (
        "import sys\nfrom qtt_hw.cli import main\n"
        "try:\n    main()\nfinally:\n    assert not {'torch', 'numpy', 'amaranth'} & set(sys.modules)"
    )
    asked = {"_QTT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **asked}, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", found)
