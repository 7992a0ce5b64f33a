"""The synthesised netlist of a BUILD as a BUILD of its own: the same vectors through cells in place of the design."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from boards.patterns import PATTERN_NETLIST, Patterns
from boards.synthesis import NETLIST as SYNTHESISED
from boards.synthesis import netlist_verilog, synthesise
from qtt_hw.errors import named
from qtt_hw.files import scratch_folder
from qtt_hw.folders import NETLIST, folder_writer
from qtt_hw.progress import Progress, silent
from rtl_gen.families import ECP5, family_named
from rtl_gen.manifest import NAME, Manifest, Sources
from sim.cells import QUIET, models

__all__ = ["netlist_build"]


def netlist_build(build: Path | str, folder: Path | str, *, progress: Progress = silent) -> Path:
    """Synthesise a BUILD for its family and write the netlist's own BUILD folder, which `cosim` takes like any other.

    One that takes other weights is synthesised as `boards.build` does it: with patterns, which are then exchanged.

    Parameters
    ----------
    build : path
        Folder that `qtt emit` wrote, with taps or without.
    folder : path
        To be created; an earlier netlist folder is replaced, anything else is refused.
    progress : Progress

    Returns
    -------
    Path
        The folder: netlist.v, cells.v, the model, the plan and a manifest.
    """
    build, folder = Path(build), Path(folder)
    manifest = Manifest.load(build)
    with folder_writer(folder, NETLIST) as whole, scratch_folder(folder) as work:
        with named(build):
            family = family_named(_object(build / manifest.plan).get("family", ECP5.name))
            sources = [build / source for source in manifest.sources.of(family)]
        patterns = Patterns(build, manifest, family) if manifest.exchangeable else None
        if patterns is not None:
            sources = patterns.sources(work)
        cells = synthesise(sources, manifest.top, work, family, progress=progress)
        if patterns is not None:
            (work / SYNTHESISED).replace(work / PATTERN_NETLIST)
            patterns.fill(work, manifest.top)
        netlist = netlist_verilog(work, manifest.top, progress=progress).read_text(encoding="utf-8")
        (whole / "netlist.v").write_text(f"{QUIET}\n{netlist}", encoding="utf-8")
        (whole / "cells.v").write_text(models(set(cells) - {"$scopeinfo"}, family), encoding="utf-8")
        for part in (manifest.model, manifest.plan):
            shutil.copyfile(build / part, whole / part)
        simulated = Sources.made({"simulation": ("netlist.v", "cells.v")})
        changed = manifest.model_copy(update={"sources": simulated, "wrapper": None, "exchangeable": False})
        (whole / NAME).write_text(changed.to_json(), encoding="utf-8")
    return folder


def _object(path: Path) -> dict[str, Any]:
    """What a file of JSON holds; raises ValueError where that is no object."""
    with named(path):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("expected an object")
    return found
