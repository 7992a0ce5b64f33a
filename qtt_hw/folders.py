"""Folders that this project writes: known by a typed marker, and replaced or worked in only where they are ours.

A marker says of which kind a folder is and, where the folder is replaced as a whole, which files were written into it.
Nothing else in it is ever removed.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtt_hw import versions
from qtt_hw.errors import named
from qtt_hw.files import is_unfinished, naming, scratch_folder, sync_folder, sync_names, write_file
from qtt_hw.locks import Busy, in_use, is_lock, locked

__all__ = [
    "BITSTREAM",
    "BUILD",
    "COMPRESSION",
    "DEMONSTRATION",
    "MARKER",
    "NETLIST",
    "PREPARED",
    "RUN",
    "Kind",
    "claim",
    "folder_writer",
    "kind_of",
    "refuse_foreign",
]

#: The marker's name.
MARKER = ".qtt.json"


@dataclass(frozen=True)
class Kind:
    """A kind of folder.

    Parameters
    ----------
    name : str
        In the marker.
    title : str
        In messages, with its article.
    kept : tuple of str
        Patterns of what is put in later, and goes with the folder: relative names of files, or with a slash behind
        them of whole folders.
    parts : tuple of str
        Names of the kinds of folders in it that go with it.
    before : callable, optional
        The files of a folder without a marker, written before there were any or copied without it, from its own
        content; None where it is of another kind.
    """

    name: str
    title: str
    kept: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    before: Callable[[Path], frozenset[str] | None] = lambda folder: None


def _object(path: Path) -> dict[str, Any]:
    """The JSON object of a file; empty where there is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _build(folder: Path) -> frozenset[str] | None:
    """By the manifest's content; it names all other files."""
    manifest = _object(folder / "manifest.json")
    needed = {"version", "name", "top", "sources", "model", "digest", "plan", "input", "output", "predicted"}
    sources = manifest.get("sources")
    if not needed <= set(manifest) or not isinstance(sources, dict):
        return None
    with named(folder / "manifest.json"):
        versions.MANIFEST.refuse_newer(manifest["version"])
    if manifest["version"] not in versions.MANIFEST.versions:
        return None
    files = [name for part in sources.values() if isinstance(part, list) for name in part]
    beside = "ports.md instance.vh design.core vivado.tcl axi.v qtt_registers.h qtt_registers.py registers.md".split()
    beside.append("structure.json")
    return frozenset(map(str, ["manifest.json", manifest["model"], manifest["plan"], *files, *beside]))


def _netlist(folder: Path) -> frozenset[str] | None:
    files = _build(folder)
    return files if files is not None and "netlist.v" in files else None


def _bitstream(folder: Path) -> frozenset[str] | None:
    result = _object(folder / "result.json")
    if not {"board", "device", "clock_mhz", "fmax_mhz", "bitstream", "critical_path", "placer"} <= set(result):
        return None
    written = "board_top.v board.lpf yosys.ys yosys.log cells.json netlist.json netlist.v nextpnr.log report.json"
    packed = "placed.config ecppack.log result.json pattern.json pattern.config"
    return frozenset([*written.split(), *packed.split(), Path(str(result["bitstream"])).name])


def _prepared(folder: Path) -> frozenset[str] | None:
    names, found = {"x.npy", "skipped.json"}, {path.name for path in folder.iterdir()}
    return frozenset(names) if "skipped.json" in found and found <= names else None


def _run(folder: Path) -> frozenset[str] | None:
    run = _object(folder / "run.json")
    if not {"version", "config", "data_digest", "labels"} <= set(run):
        return None
    with named(folder / "run.json"):
        versions.RUN.refuse_newer(run["version"])
    return frozenset()


def _compression(folder: Path) -> frozenset[str] | None:
    return frozenset() if (folder / "lock").is_file() and _run(folder / "dense") is not None else None


def _demonstration(folder: Path) -> frozenset[str] | None:
    steps = list((folder / "steps").glob("*.json"))
    names = {"steps", "run", "model.qtt", "plan.json", "build"}
    alone = (folder / "steps").is_dir() and {path.name for path in folder.iterdir()} <= names
    done = any({"key", "seconds", "result"} <= set(_object(path)) for path in steps)
    return frozenset() if alone or done else None


_HASH = "[0-9a-f]" * 16

BITSTREAM = Kind("bitstream", "a bitstream's folder", before=_bitstream)
_RANDOM = "[a-z0-9_]" * 8
_ENGINES = ("axi", "batch", "batch-trace", "board", "cocotb", "cocotb-trace", "icarus", "icarus-trace", "step")
_SIMULATORS = (
    *(f"sim/{name}-{_HASH}" for name in _ENGINES),
    f"sim/step-{_HASH}/",
    *(f"sim/{name}-{_RANDOM}/" for name in ("compile", "qtt-kept-*")),  # of processes that were killed
)
BUILD = Kind("build", "a BUILD folder", _SIMULATORS, ("bitstream",), _build)
NETLIST = Kind("netlist", "a netlist's folder", _SIMULATORS, before=_netlist)
PREPARED = Kind("prepared", "prepared data", before=_prepared)
_RUN = ("run.json", "log.jsonl", "result.json", "curves.png", "*.safetensors")
RUN = Kind("run", "a training run", _RUN, before=_run)
COMPRESSION = Kind("compression", "a compression", before=_compression)
DEMONSTRATION = Kind("demonstration", "a demonstration", before=_demonstration)
_KINDS = {kind.name: kind for kind in (NETLIST, BUILD, BITSTREAM, RUN, COMPRESSION, DEMONSTRATION, PREPARED)}


def kind_of(folder: Path) -> Kind | None:
    """Of which kind a folder is, by its marker or its content; None where it is not ours.

    Raises
    ------
    ValueError
        Where a newer qtt-hw wrote it.
    """
    return _described(folder)[0]


def _described(folder: Path) -> tuple[Kind | None, frozenset[str]]:
    """A folder's kind, and the files that were written into it as it was made."""
    marker = _object(folder / MARKER)
    if marker:
        with named(folder / MARKER):
            versions.MARKER.refuse_newer(marker.get("version"))
        kind, files = _KINDS.get(str(marker.get("kind"))), marker.get("files", [])
        if kind is None or marker.get("version") not in versions.MARKER.versions or not isinstance(files, list):
            return None, frozenset()
        return kind, frozenset([MARKER, *map(str, files)])
    if folder.is_dir():
        for kind in _KINDS.values():
            found = kind.before(folder)
            if found is not None:
                return kind, found
    return None, frozenset()


def claim(folder: Path, kind: Kind, otherwise: str) -> None:
    """Make a folder one to work in, unless it is so already.

    Parameters
    ----------
    folder : Path
        Of that kind, empty, or not there.
    kind : Kind
    otherwise : str
        What the message says of a folder that is none of ours.

    Raises
    ------
    ValueError
        When the folder holds something else.
    """
    _refuse_other(folder, kind, otherwise)
    if kind_of(folder) is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / MARKER, json.dumps({"kind": kind.name, "version": versions.MARKER.written}) + "\n")


def _refuse_other(folder: Path, kind: Kind, otherwise: str) -> None:
    """Raise ValueError where a folder is there, is not empty, and is not of the kind, or where it cannot be made."""
    if not os.path.lexists(folder):
        above = next(parent for parent in folder.absolute().parents if os.path.lexists(parent))
        if not above.is_dir():
            raise ValueError(f"{folder}: {above} is not a folder; choose another name")
        return
    found = kind_of(folder)
    if found is not None and found is not kind:
        raise ValueError(f"{folder}: exists and is {found.title}, not {kind.title}; choose another name")
    if found is None and not (folder.is_dir() and all(map(_passing, folder.iterdir()))):
        raise ValueError(f"{folder}: {otherwise}")


def _passing(path: Path) -> bool:
    return is_unfinished(path) or is_lock(path)


def _is_kept(path: Path, name: str, kind: Kind) -> bool:
    """Whether something was put into a folder later by what puts such in."""
    shown = f"{name}/" if path.is_dir() and not path.is_symlink() else name
    return any(fnmatch.fnmatchcase(shown, pattern) for pattern in kind.kept)


def refuse_foreign(folder: Path, kind: Kind, shown: Path | None = None) -> None:
    """Raise ValueError unless a folder may be replaced: it is not there, is empty, or is of the kind and all ours.

    Parameters
    ----------
    folder : Path
    kind : Kind
    shown : Path, optional
        What it is called in messages.

    Raises
    ------
    ValueError
        Naming the first file that was not written by this project.
    Busy
        When a process is writing in the folder.
    """
    shown = shown or folder
    _refuse_other(folder, kind, f"exists and is not {kind.title}; choose another name")
    if folder.is_dir():
        for path in _foreign(folder):
            name = shown / path.relative_to(folder)
            raise ValueError(f"{name}: was not written by qtt, so {shown} is not replaced; move the file away")


def _foreign(folder: Path) -> Iterator[Path]:
    """What stands in a folder of ours and is neither its own nor a part's."""
    kind, files = _described(folder)

    def walk(inner: Path) -> Iterator[Path]:
        for path in sorted(inner.iterdir()):
            name = path.relative_to(folder).as_posix()
            if _passing(path):
                if in_use(path):
                    raise Busy(f"{path}: a process works on it; {folder} is not replaced meanwhile")
            elif kind is not None and _is_kept(path, name, kind):
                continue
            elif path.is_symlink() or not path.is_dir():
                if name not in files:
                    yield path
            else:
                part = kind_of(path)
                yield from _foreign(path) if part and kind and part.name in kind.parts else walk(path)

    return walk(folder)


@contextmanager
def folder_writer(target: Path, kind: Kind) -> Iterator[Path]:
    """A folder that becomes the target when the block ends, in place of one of the same kind; dropped when it raises.

    Parameters
    ----------
    target : Path
        Its parents are made. A link is followed.
    kind : Kind

    Raises
    ------
    ValueError
        As of `refuse_foreign`, before the block and again before anything is replaced.
    OSError
        Naming the file that could not be written, by the name that it would have had.
    """
    refuse_foreign(target, kind)
    real = Path(os.path.realpath(target))
    real.parent.mkdir(parents=True, exist_ok=True)
    with naming(target), scratch_folder(real) as folder:
        yield folder
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
        content = {"kind": kind.name, "version": versions.MARKER.written, "files": files}
        write_file(folder / MARKER, json.dumps(content, indent=1) + "\n")
        sync_folder(folder)
        with locked(real.with_name(f".{real.name}.lock"), target, waiting=lambda text: None):
            refuse_foreign(real, kind, target)
            _put(folder, real, kind, target)
            sync_names(real.parent)


def _put(folder: Path, target: Path, kind: Kind, shown: Path) -> None:
    """Rename a finished folder to the target; what was there is put aside first, and removed when that is done."""
    if not target.is_dir() or not any(target.iterdir()):
        folder.rename(target)
        return
    with scratch_folder(target) as beside:
        aside = beside / target.name
        target.rename(aside)
        try:
            refuse_foreign(aside, kind, shown)  # by its name nothing can be put in any more
            folder.rename(target)
        except BaseException:
            aside.rename(target)
            raise
