"""The synthesised netlist of a BUILD as a BUILD of its own: the same vectors through cells in place of the design."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from boards.patterns import PATTERN_NETLIST, Patterns
from boards.synthesis import NETLIST as SYNTHESISED
from boards.synthesis import library_folder, netlist_verilog, synthesise
from qtt_hw.errors import named
from qtt_hw.files import scratch_folder
from qtt_hw.folders import NETLIST, folder_writer
from qtt_hw.progress import Progress, silent
from rtl_gen.families import ECP5
from rtl_gen.manifest import NAME, Manifest, Sources
from sim.ecp5_blocks import block_ram, multiplier

__all__ = ["netlist_build"]

#: Where yosys keeps its own models of the cells that are not black boxes to it.
_MODELS = ("common_sim.vh", "ccu2c_sim.vh")
_BLOCKS = {"DP16KD": block_ram, "MULT18X18D": multiplier}
#: Cells that a model is made of.
_WITHIN = {"CCU2C": ("LUT4", "LUT2")}


def netlist_build(build: Path | str, folder: Path | str, *, progress: Progress = silent) -> Path:
    """Synthesise a BUILD for ECP5 and write the netlist's own BUILD folder, which `cosim` takes like any other.

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
            sources = [build / source for source in manifest.sources.of(ECP5)]
        patterns = Patterns(build, manifest, ECP5) if manifest.exchangeable else None
        if patterns is not None:
            sources = patterns.sources(work)
        cells = synthesise(sources, manifest.top, work, ECP5, progress=progress)
        if patterns is not None:
            (work / SYNTHESISED).replace(work / PATTERN_NETLIST)
            patterns.fill(work, manifest.top, placed=False)
        netlist_verilog(work, manifest.top, progress=progress).replace(whole / "netlist.v")
        (whole / "cells.v").write_text(models(set(cells) - {"$scopeinfo"}), encoding="utf-8")
        for part in (manifest.model, manifest.plan):
            shutil.copyfile(build / part, whole / part)
        simulated = Sources.made({"simulation": ("netlist.v", "cells.v")})
        changed = manifest.model_copy(update={"sources": simulated, "wrapper": None, "exchangeable": False})
        (whole / NAME).write_text(changed.to_json(), encoding="utf-8")
    return folder


def models(cells: set[str]) -> str:
    """Verilog models of the named cells; raises ValueError naming a cell that has none."""
    library = "\n".join((library_folder(ECP5) / name).read_text(encoding="utf-8") for name in _MODELS)
    library = re.sub(
        r"\(\*(?!\)).*?\*\)|\bspecify\b.*?\bendspecify\b|^`.*?$", "", library, flags=re.DOTALL | re.MULTILINE
    )
    library = library.replace("mem[i] <=", "mem[i] =")  # in initial blocks, where Verilator wants a blocking assignment
    known = {found[2]: found[1] for found in re.finditer(r"^(module (\w+)\b.*?^endmodule)", library, re.DOTALL | re.M)}
    needed = cells | {inner for cell in cells for inner in _WITHIN.get(cell, ())}
    texts = []
    for cell in sorted(needed):
        if cell in _BLOCKS:
            texts.append(_BLOCKS[cell]())
        elif cell in known:
            texts.append(known[cell])
        else:
            raise ValueError(f"the netlist has a cell {cell!r} of which there is no model for simulation")
    return "\n".join(texts) + "\n"
