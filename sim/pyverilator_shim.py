"""pyverilator made to work with Verilator 5: the Python API that steps a design cycle by cycle.

The maintained fork (pyverilator-mm) writes for Verilator 4: it takes Verilator's version from a line that the PyPI
build leaves empty, asks for C++11 where Verilator 5 needs more, and finds the program through the process's own PATH.
The replacements below are all of its code that is touched; they hold while a design is built.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from qtt_hw.children import run
from sim.runtime_objects import MAKE_FLAGS, keep_objects, seed_objects
from sim.toolchain import environment, first_error, package_folder, verilator_root

__all__ = ["build_model", "open_model"]


@contextmanager
def _shimmed(work: Path | None = None) -> Iterator[tuple[Any, Callable[[Sequence[str]], None]]]:
    package_folder("pyverilator", "pyverilator-mm")
    from pyverilator import pyverilator, verilatorcpp

    env = environment(work)

    def call_process(args: Sequence[str], quiet: bool = False) -> None:
        command = [part.replace("--std=c++11", "--std=c++17") for part in args if part]
        done = run(command, cwd=work or Path.cwd(), env=env)
        if done.returncode != 0:
            raise ValueError(f"pyverilator: {first_error(done.stderr + done.stdout).replace(f'{work}/', '')}")

    which = SimpleNamespace(which=lambda name: str(verilator_root() / "bin" / name))
    with (
        mock.patch.object(pyverilator, "call_process", call_process),
        mock.patch.object(pyverilator, "shutil", which),
        mock.patch.object(verilatorcpp, "verilator_flushcall_ok", lambda: False),
    ):
        yield pyverilator.PyVerilator, call_process


def build_model(top: Path, sources: Sequence[Path], folder: Path) -> Path:
    """The shared library of a design, for `open_model`.

    Parameters
    ----------
    top : Path
        Verilog file named after its module.
    sources : sequence of Path
        Everything else that Verilator takes.
    folder : Path
        Where the library is made; created, in a folder whose path make takes as it is.

    Raises
    ------
    ValueError
        When the package is missing, or the design does not compile.
    """
    names = ["--prefix", f"V{top.stem}", "--top-module", top.stem]
    with _shimmed(folder.parent) as (pyverilator, call_process):
        seed_objects("step", folder)
        # generated only: building would also load it, and a library can hold one model
        pyverilator.build(
            str(top.resolve()),
            build_dir=str(folder.resolve()),
            args=["-O3", *names, *(str(source.resolve()) for source in sources)],
            cargs="-fno-gnu-unique",  # so that two loaded copies share nothing
            gen_only=True,
        )
        call_process(["make", "-C", str(folder), "-f", f"V{top.stem}.mk", "LDFLAGS=-fPIC -shared", *MAKE_FLAGS])
        keep_objects("step", folder)
    return folder / f"V{top.stem}"


def open_model(library: Path) -> Any:
    """The PyVerilator object of a library; only the design's ports are visible, every input is 0."""
    with _shimmed() as (pyverilator, _), tempfile.TemporaryDirectory(prefix="step-") as folder:
        # the simulated time is a global of the library: every model needs a copy of its own
        return pyverilator(shutil.copy(library, folder), auto_eval=False)
