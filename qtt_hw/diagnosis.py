"""What of the tool chain is there: packages by the project's own requirements, and the programs that verbs call."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from pydantic import BaseModel, ConfigDict

__all__ = ["Diagnosis", "Part", "doctor"]

State = Literal["there", "missing", "wrong version", "broken"]
#: What each extra is for, and whether the way from a network to a bitstream needs it; "" is what is always installed.
_EXTRAS = {
    "": ("everything", True),
    "train": ("train, freeze, quantize, compress, inspect, check", True),
    "sim": ("cosim", True),
    "fpga": ("build", True),
    "report": ("report", False),
    "data": ("videos and .mat volumes as data", False),
    "program": ("program", False),
}
#: Extras of those who work on this project.
_OURS = ("dev", "docs")
#: Packages that less needs than their extra.
_LESS = {
    "matplotlib": "curves of train",
    "optuna": "compress",
    "cocotb": "cosim --engine cocotb and axi",
    "cocotbext-axi": "cosim --engine axi",
    "pyverilator-mm": "cosim --engine pyverilator",
    "setuptools": "cosim --engine pyverilator",
}


@dataclass(frozen=True)
class _Program:
    """A program: its name, how it is asked for its version, what needs it, and the package of Debian that has it."""

    name: str
    ask: str
    needed_for: str
    core: bool
    debian: str | None


_PROGRAMS = (
    _Program("g++", "--version", "cosim", True, "g++"),
    _Program("make", "--version", "cosim", True, "make"),
    _Program("perl", "--version", "cosim", True, "perl"),
    _Program("ccache", "--version", "cosim, faster", False, "ccache"),
    _Program("iverilog", "-V", "cosim --engine icarus", False, "iverilog"),
    _Program("gtkwave", "--version", "to look at waves", False, "gtkwave"),
    _Program("surfer", "--version", "to look at waves", False, None),
)


class Part(BaseModel):
    """One part of the tool chain.

    Attributes
    ----------
    name : str
    kind : "Python", "package" or "program"
    state : str
        "there", "missing", "wrong version", or "broken": it does not run.
    version : str, optional
        What is there.
    wanted : str
        Versions that do; empty where any does.
    needed_for : str
        Verbs.
    core : bool
        The way from a network to a bitstream needs it.
    install : str, optional
        The command that makes it be there; None where it is, or none is known.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Literal["Python", "package", "program"]
    state: State
    version: str | None
    wanted: str
    needed_for: str
    core: bool
    install: str | None


class Diagnosis(BaseModel):
    """All parts.

    Attributes
    ----------
    complete : bool
        All that the way from a network to a bitstream needs is there.
    parts : tuple of Part
    install : tuple of str
        Commands that install what is missing, the needed first.
    """

    model_config = ConfigDict(frozen=True)

    complete: bool
    parts: tuple[Part, ...]
    install: tuple[str, ...]


def doctor() -> Diagnosis:
    """Look at what is installed: which versions, what is missing, what for, and what would install it.

    Returns
    -------
    Diagnosis
        `complete` says whether a network can be trained, proven and built.

    Examples
    --------
    >>> import qtt_hw
    >>> found = qtt_hw.doctor()
    >>> numpy = next(part for part in found.parts if part.name == "numpy")
    >>> numpy.state, numpy.needed_for, numpy.wanted
    ('there', 'everything', '>=1.26')
    """
    parts = [_python(), *_packages(), *map(_program, _PROGRAMS), *_loader()]
    lacking = [part for part in parts if part.state != "there"]
    return Diagnosis(
        complete=not any(part.core for part in lacking),
        parts=tuple(parts),
        install=tuple(_commands(sorted(lacking, key=lambda part: not part.core))),
    )


def _python() -> Part:
    wanted, found = ">=3.11", platform.python_version()
    state = _state(found, SpecifierSet(wanted))
    return Part(
        name="python",
        kind="Python",
        state=state,
        version=found,
        wanted=wanted,
        needed_for="everything",
        core=True,
        install=None,
    )


def _packages() -> Iterator[Part]:
    """By the metadata of this package: what it requires, always and with extras."""
    extras = metadata("qtt-hw").get_all("Provides-Extra") or []
    seen = set()
    for requirement in map(Requirement, requires("qtt-hw") or ()):
        name, marker = requirement.name, requirement.marker
        extra = next((e for e in extras if marker is not None and marker.evaluate({"extra": e})), "")
        if extra in _OURS or name in seen:
            continue
        seen.add(name)
        what, core = _EXTRAS.get(extra, (f"extra {extra}", False))
        try:
            there: str | None = version(name)
        except PackageNotFoundError:
            there = None
        state = _state(there, requirement.specifier)
        project = f"qtt-hw[{extra}]" if extra else "qtt-hw"
        yield Part(
            name=name,
            kind="package",
            state=state,
            version=there,
            wanted=",".join(sorted(map(str, requirement.specifier))),
            needed_for=_LESS.get(name, what),
            core=core and name not in _LESS,
            install=None if state == "there" else f"pip install '{project}'",
        )


def _state(found: str | None, wanted: SpecifierSet) -> State:
    if found is None:
        return "missing"
    return "there" if wanted.contains(found, prereleases=True) else "wrong version"


def _ask(command: list[str]) -> tuple[int, str]:
    """Exit code of a program and what it prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout + done.stderr


def _number(output: str) -> str | None:
    """The first thing in a program's output that looks like a version."""
    found = re.search(r"\d+(?:\.\d+)+", output)
    return found[0] if found else None


def _program(program: _Program) -> Part:
    path = shutil.which(program.name)
    found = None if path is None else _number(_ask([path, program.ask])[1])
    command = None if program.debian is None else f"apt-get install {program.debian}"
    return Part(
        name=program.name,
        kind="program",
        state="missing" if path is None else "there",
        version=found,
        wanted="",
        needed_for=program.needed_for,
        core=program.core,
        install=command if path is None else None,
    )


def _loader() -> Iterator[Part]:
    """openFPGALoader, which may be there and lack a library of the system."""
    from boards.program import library_package, loader

    path = loader()
    if path is None:
        return  # its package says so
    code, output = _ask([path, "--Version"])
    package = library_package(output)
    yield Part(
        name="openFPGALoader",
        kind="program",
        state="there" if code == 0 else "broken",
        version=_number(output) if code == 0 else None,
        wanted="",
        needed_for="program",
        core=False,
        install=None if package is None else f"apt-get install {package}",
    )


def _commands(parts: Iterable[Part]) -> Iterator[str]:
    """A command for pip and one for apt, of all parts that are needed, then of all others."""
    listed = list(parts)
    for core in (True, False):
        for tool in ("pip install ", "apt-get install "):
            given = [part.install for part in listed if part.core is core and part.install is not None]
            names = dict.fromkeys(name.removeprefix(tool) for name in given if name.startswith(tool))
            if tool.startswith("pip") and names:
                extras = sorted({found for name in names for found in re.findall(r"\[([\w-]+)\]", name)})
                yield f"pip install 'qtt-hw{'[' + ','.join(extras) + ']' if extras else ''}'"
            elif names:
                yield tool + " ".join(names)
