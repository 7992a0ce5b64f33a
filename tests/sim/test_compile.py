"""Compiled simulators: whole or absent, for any number of processes, in any folder."""

import shutil
import threading
from pathlib import Path
from typing import Any, get_args

import pytest

import boards
from rtl_gen.manifest import Manifest
from sim.compile import digest, kept, sources
from sim.cosim import Engine, cosim
from sim.icarus import available
from sim.on_board import simulate_board

ODD = "a b'c\"d$(e);f#g%h&ü"


def test_two_that_compile_at_once_both_get_it(tmp_path: Path) -> None:
    both = threading.Barrier(2)

    def make(work: Path) -> Path:
        both.wait()  # neither has found it made
        made = work / "made"
        made.write_text("whole")
        made.chmod(0o700)
        both.wait()
        return made

    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(kept(tmp_path, "name", make))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "sim" / "name"] * 2
    assert found[0].read_text() == "whole" and found[0].stat().st_mode & 0o100
    assert list((tmp_path / "sim").iterdir()) == [found[0]]
    assert kept(tmp_path, "name", lambda work: pytest.fail("it is made")) == found[0]


def test_nothing_is_left_of_a_compilation_that_fails(tmp_path: Path) -> None:
    folders: list[Path] = []

    def make(work: Path) -> Path:
        folders.append(work)
        raise ValueError("refused")

    with pytest.raises(ValueError, match="^refused$"):
        kept(tmp_path, "name", make)
    assert not folders[0].exists() and list((tmp_path / "sim").iterdir()) == []


def test_sources_get_names_that_tools_take(tmp_path: Path) -> None:
    build, work = tmp_path / "build", tmp_path / "work"
    build.mkdir()
    work.mkdir()
    for name in ("design.v", "it's.v", "harness.v"):
        (build / name).write_text(name)
    (work / "harness.v").write_text("ours")
    found = sources(build, ["design.v", "it's.v", "harness.v"], work)
    assert [path.name for path in found] == ["design.v", "source1.v", "source2.v"]
    assert [path.read_text() for path in found] == ["design.v", "it's.v", "harness.v"]


def test_a_simulator_is_named_after_all_that_makes_it(small_build: Any) -> None:
    build = small_build()
    manifest = Manifest.load(build)
    without = manifest.model_copy(update={"taps": ()})
    names = {
        digest(build, manifest),
        digest(build, manifest, "a", "b"),
        digest(build, manifest, "ab"),
        digest(build, without),
        digest(small_build(shift=3), manifest),
    }
    assert len(names) == 5 and digest(build, manifest) in names


@pytest.mark.parametrize("engine", [*(engine for engine in get_args(Engine) if engine != "axi"), "board"])
def test_a_folder_of_any_name(small_build: Any, tmp_path: Path, engine: Any) -> None:
    if engine == "icarus" and not available():
        pytest.skip("Icarus Verilog is missing: apt-get install iverilog")
    build = shutil.copytree(small_build(extra_wait=2), tmp_path / ODD / "BUILD")
    shutil.rmtree(build / "sim", ignore_errors=True)
    x = small_build.samples(3)
    if engine == "board":
        assert simulate_board(build, boards.load("ulx3s-85f"), x).equal
        return
    assert cosim(build, x, engine=engine).equal


@pytest.mark.parametrize("engine", ["verilator", "cocotb", "pyverilator"])
def test_what_make_says_is_told(small_build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    """The program fails behind Verilator: its own words are what helps."""
    compiler = tmp_path / "bin" / "c++"
    compiler.parent.mkdir()
    compiler.with_name("g++").symlink_to(compiler)
    compiler.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho 'cc1plus: error: no space left' >&2\nexit 1\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(compiler.parent), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build = shutil.copytree(small_build(extra_wait=2), tmp_path / "build")
    shutil.rmtree(build / "sim", ignore_errors=True)
    with pytest.raises(ValueError, match=r"cc1plus: error: no space left$"):
        cosim(build, small_build.samples(1), engine=engine)
    assert list((build / "sim").iterdir()) == []
