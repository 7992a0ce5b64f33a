"""The package as a person installs it: built from its own source distribution, alone in a clean environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import qtt_hw

ROOT = Path(__file__).parents[2]
PACKAGES = ("qtt_hw", "rtl_gen", "sim", "boards")
EXTRAS = "train,sim,fpga,report"

pytestmark = pytest.mark.long


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the tests' own setuptools, from copies: what an earlier build left in the checkout stays out of it."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    ran = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "-o", str(dist), str(source)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(list(dist.glob("qtt_hw-*.tar.gz"))) == 1
    (found,) = dist.glob("qtt_hw-*.whl")
    return found


class Installed:
    """An environment outside the repository with the wheel in it, and nothing of the tests' own."""

    def __init__(self, folder: Path, wheel: Path, extras: str = "") -> None:
        self.folder, self.bin = folder, folder / "venv" / "bin"
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        wanted = f"{wheel}[{extras}]" if extras else str(wheel)
        ran = self.run("python", "-m", "pip", "install", "--quiet", wanted)
        if ran.returncode != 0:
            pytest.skip(f"pip could not install {wanted}: {ran.stderr.strip().splitlines()[-1]}")

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        gone = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "QTT_DATA", "QTT_DEBUG")
        environment = {name: value for name, value in os.environ.items() if name not in gone}
        environment |= {"XDG_CACHE_HOME": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"}
        command = [self.bin / program, *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def json(self, *arguments: object) -> dict:
        """What a verb prints."""
        ran = self.run("qtt", *arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel, EXTRAS)


@pytest.fixture(scope="session")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Without any extra."""
    return Installed(tmp_path_factory.mktemp("alone"), wheel)


def test_the_wheel_holds_what_the_packages_need_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        assert f"\nVersion: {qtt_hw.__version__}\n" in archive.read(metadata).decode()
    sources = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    assert names == {str(path.relative_to(ROOT)) for path in sources if "__pycache__" not in path.parts}


def test_the_whole_way_works_from_it(installed: Installed) -> None:
    """The demonstration as it stands: no option makes it train less, and a shorter one would not be what is shipped."""
    where = installed.run("python", "-c", "import qtt_hw, rtl_gen; print(qtt_hw.__file__, rtl_gen.__file__)")
    assert where.stdout.count(str(installed.bin.parent)) == 2
    assert installed.run("qtt", "--version").stdout == f"qtt {qtt_hw.__version__}\n"
    checked = installed.json("check", "voxtt")
    assert checked["supported"] is True
    found = installed.json("demo", "-o", "demo")
    assert found["equal"] is True and found["cycles"] == found["predicted_cycles"]
    assert found["accuracy"] > 0.9 and (installed.folder / found["bitstream"]).stat().st_size > 100_000
    planned = installed.json("plan", "demo/model.qtt", "--fps", 10_000, "--no-neighbours")
    assert planned["cycles"] <= 10_000
    page = installed.json("report", "demo/build", "--data", "solids", "--samples", 20, "-o", "report.html")
    assert "cycles" in {section["key"] for section in page["sections"]}
    assert (installed.folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_without_extras_models_are_planned_and_emitted_and_what_is_missing_is_named(alone: Installed) -> None:
    model = ROOT / "models" / "lenet-mnist.qtt"
    assert alone.run("python", "-c", "import torch").returncode == 1
    assert alone.json("plan", model, "--fps", 1000, "--no-neighbours", "-o", "plan.json")["cycles"] <= 100_000
    assert alone.json("emit", model, "--plan", "plan.json", "-o", "build")["name"]
    for arguments, extra in (
        (["check", "voxtt"], "train"),
        (["train", ROOT / "models" / "lenet-mnist.toml", "--data", "mnist", "--out", "run"], "train"),
        (["build", "build"], "fpga"),
    ):
        ran = alone.run("qtt", *arguments)
        assert ran.returncode == 1 and "Traceback" not in ran.stderr
        assert ran.stderr.endswith(f": pip install 'qtt-hw[{extra}]'\n")
