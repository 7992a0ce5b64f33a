"""Compiled simulators of a BUILD: made in a work folder, kept in BUILD/sim by the content of their sources."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rtl_gen.manifest import Manifest
from sim.toolchain import is_plain
from sim.tracing import Tracing
from sim.work import work_folder
from sim.wrapper import TOP, verilog

__all__ = ["digest", "kept", "sources", "wrapped_sources"]


def digest(build: Path, manifest: Manifest, *more: bytes | str) -> str:
    """Hexadecimal digits that name a simulator: of the design's sources, the wrapper's and whatever else makes it."""
    found = hashlib.sha256()
    design = [(build / name).read_bytes() for name in manifest.sources.simulation]
    for data in (*design, verilog(manifest), *more):
        data = data.encode() if isinstance(data, str) else data
        found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()[:16]


def kept(build: Path, name: str, make: Callable[[Path], Path]) -> Path:
    """BUILD/sim/NAME, absolute; made unless it is there.

    Any number of processes may ask for it at once: each makes its own, and puts it in place in one step.

    Parameters
    ----------
    build : Path
        Any path: what is made is made elsewhere, since make takes no blanks or quotes.
    name : str
        Holds a digest.
    make : callable
        Makes one file in the folder that it is given, and returns its path.
    """
    final = (build / "sim").resolve() / name
    if final.is_file():
        return final
    final.parent.mkdir(exist_ok=True)
    with work_folder("compile") as work, work_folder("kept", final.parent) as beside:
        shutil.copy(make(work), beside / name)
        (beside / name).replace(final)
    return final


def sources(build: Path, names: Iterable[str], work: Path) -> list[Path]:
    """Copies of a BUILD's files in a work folder, of the same names where a tool takes them."""
    found = []
    for number, name in enumerate(names):
        taken = not is_plain(name) or "/" in name or (work / name).exists()
        found.append(work / (f"source{number}.v" if taken else name))
        shutil.copyfile(build / name, found[-1])
    return found


def wrapped_sources(
    build: Path,
    manifest: Manifest,
    work: Path,
    tracing: Tracing | None = None,
    text: str | None = None,
    more: Sequence[str] = (),
) -> list[Path]:
    """Write design and wrapper into `work`; everything that Verilator takes, in order, the wrapper last.

    The wrapper is `sim.wrapper.verilog` or another `text`, which may need `more` of the BUILD's files.

    Warnings are off in the design, whose generator trims and extends on purpose, and fatal in the wrapper: a port of
    another width than the manifest's is an error. What a trace has is the wrapper's, unless it is to have everything.
    """
    wrapper, lint = work / f"{TOP}.v", work / f"{TOP}.vlt"
    wrapper.write_text(verilog(manifest, tracing) if text is None else text, encoding="utf-8")
    design = sources(build, [*more, *manifest.sources.simulation], work)
    rules = ("", "-rule INITIALDLY ")  # which is no lint: see `rtl_gen.initial_values`
    lines = ["`verilator_config", *(f'lint_off {rule}-file "{source}"' for source in design for rule in rules)]
    if tracing is not None and not tracing.inside:
        lines += [f'tracing_off -file "{source}"' for source in design]
    lint.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [lint, *design, wrapper]
