"""Verilog to a netlist of a family's cells, by yosys in a child process."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from boards.step import run_step
from qtt_hw.progress import Progress, silent
from rtl_gen.families import Family

__all__ = ["NETLIST", "library_folder", "synthesise"]

#: The netlist's name in its work folder.
NETLIST = "netlist.json"

# pyosys ends the interpreter on an error and prints a lot, so it gets an interpreter of its own
_CHILD = """
import sys
from pathlib import Path
from pyosys import libyosys
design = libyosys.Design()
for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
    libyosys.run_pass(line, design)
"""


def _package() -> Path:
    spec = importlib.util.find_spec("pyosys")
    if spec is None or spec.origin is None:
        raise ValueError("synthesis needs the package pyosys: pip install 'qtt-hw[fpga]'")
    return Path(spec.origin).parent


def library_folder(family: Family) -> Path:
    """Where yosys keeps its Verilog models of the family's cells."""
    return _package() / "share" / family.models


def _notable(line: str) -> str | None:
    found = re.match(r"\d+(?:\.\d+)?\. Executing (.*?)(?: pass)?[.( ]*$", line)
    return found.group(1) if found else None


def synthesise(
    sources: Sequence[Path],
    top: str,
    work: Path,
    family: Family,
    *,
    arguments: str = "",
    progress: Progress = silent,
) -> dict[str, int]:
    """Cells by type of the netlist that the family's synthesis makes of `top`; the netlist is left in work.

    Parameters
    ----------
    sources : sequence of Path
        Verilog files.
    top : str
        Module name.
    work : Path
        Existing folder; the script, the log and the netlist are written there.
    family : Family
    arguments : str
        More options of the family's pass.
    progress : Progress
    """
    _package()
    for source in sources:
        if not source.is_file():
            raise ValueError(f"{source}: there is no such Verilog file")
    # yosys takes no path with a quote or a line feed, so it gets the files under other names
    links = [work / f"{n}-{re.sub(r'[^a-zA-Z0-9_.+-]', '_', source.name)}" for n, source in enumerate(sources)]
    script = [
        *(f"read_verilog -sv {link.name}" for link in links),
        f"{family.synthesis} -top {top} {arguments}".rstrip(),
        "check -assert",
        "tee -q -o cells.json stat -json",
        f"write_json {NETLIST}",
        "splitnets",  # a bus of which one bit depends on another is a loop to some simulators
        "write_verilog -noattr netlist.v",
    ]
    (work / "yosys.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
    try:
        for link, source in zip(links, sources, strict=True):
            link.unlink(missing_ok=True)
            link.symlink_to(source.resolve())
        run_step(
            "synthesis",
            "yosys",
            [sys.executable, "-c", _CHILD, "yosys.ys"],
            work / "yosys.log",
            cwd=work,
            progress=progress,
            notable=_notable,
        )
    finally:
        for link in links:
            link.unlink(missing_ok=True)
    netlist = work / NETLIST
    # Without the blanks that yosys writes: nextpnr does not get through more than about 50 MB.
    netlist.write_text(json.dumps(json.loads(netlist.read_text(encoding="utf-8")), separators=(",", ":")))
    report = json.loads((work / "cells.json").read_text(encoding="utf-8"))
    return {name: int(count) for name, count in sorted(report["design"]["num_cells_by_type"].items())}
