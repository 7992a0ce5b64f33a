"""Verilator's run-time library, compiled and kept in the user's cache: it takes longer than a small design."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sim.toolchain import environment, verilator_root

__all__ = ["MAKE_FLAGS", "keep_objects", "seed_objects"]

#: What -O2 and more take longer to compile, simulating some hundred inferences does not win back: compare both by the
#: seconds that `python -m bench.pipeline` measures.
MAKE_FLAGS = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")
_A_DAY = 86_400


def _folder(kind: str, defines: str) -> Path:
    """Where the objects of a kind of build are kept, for this Verilator, compiler and set of flags and definitions."""
    compiler = subprocess.run(["g++", "--version"], env=environment(), capture_output=True, check=True).stdout
    versions = []
    for package in ("verilator", "cocotb", "pyverilator-mm"):
        try:
            versions.append(version(package))
        except PackageNotFoundError:
            versions.append("none")
    key = hashlib.sha256(compiler + repr((str(verilator_root()), versions, MAKE_FLAGS, defines)).encode()).hexdigest()[
        :16
    ]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "qtt-hw" / f"verilator-{kind}-{key}"


def seed_objects(kind: str, objects: Path, defines: str = "") -> None:
    """Put what is kept into a folder that make has yet to fill.

    The copies are dated tomorrow: make compares them with headers that Verilator is still to write, which differ
    between designs in nothing that these objects use.
    """
    objects.mkdir(exist_ok=True)
    tomorrow = time.time() + _A_DAY
    for kept in _folder(kind, defines).glob("*.o"):
        shutil.copyfile(kept, objects / kept.name)
        os.utime(objects / kept.name, (tomorrow, tomorrow))


def keep_objects(kind: str, objects: Path, defines: str = "") -> None:
    """Keep what make has compiled, unless it is there already; without a cache folder nothing is lost but seconds."""
    folder = _folder(kind, defines)
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    except OSError:
        return
    try:
        for compiled in objects.glob("verilated*.o"):  # cocotb's own verilator.o depends on the design
            shutil.copyfile(compiled, temporary / compiled.name)
        temporary.rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(temporary, ignore_errors=True)
