"""Verilog to a netlist of a family's cells, by yosys in a child process."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from boards.step import run_step
from qtt_hw.progress import Progress, silent
from rtl_gen.families import Family

__all__ = ["NETLIST", "library_folder", "netlist_verilog", "synthesise"]

#: The netlist's name in its work folder.
NETLIST = "netlist.json"
#: What simulators are given of it, before it is Verilog.
_SIMULATED = "simulated.json"

# pyosys ends the interpreter on an error and prints a lot, so it gets an interpreter of its own
_CHILD = """
import sys
from pathlib import Path
from pyosys import libyosys
design = libyosys.Design()
for setting in sys.argv[2:]:  # the shell's `scratchpad` refuses names with dots
    design.scratchpad_set_string(*setting.split("=", 1))
for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
    libyosys.run_pass(line, design)
"""


def _package() -> Path:
    spec = importlib.util.find_spec("pyosys")
    if spec is None or spec.origin is None:
        raise ValueError("synthesis needs the package pyosys: pip install 'qtt-hw[fpga]'")
    return Path(spec.origin).parent


def library_folder() -> Path:
    """Where yosys keeps its Verilog models of cells, in a folder for each family."""
    return _package() / "share"


def _notable(line: str) -> str | None:
    found = re.match(r"\d+(?:\.\d+)?\. Executing (.*?)(?: pass)?[.( ]*$", line)
    return found.group(1) if found else None


def _without_indices(text: str) -> str:
    """Verilog whose escaped names have no brackets: `\\x[1] ` becomes `\\x_at_1 `.

    ABC9 of yosys calls bit 1 of a wire x the same, and takes one for the other: an assertion of rtlil.cc then fails.
    """
    mark = "_at_"
    while mark in text:
        mark = f"_{mark}"
    return re.sub(r"\\\S+", lambda found: found[0].replace("[", mark).replace("]", ""), text)


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
    # yosys takes no path with a quote or a line feed, so it gets copies of the files under other names
    copies = [work / f"{n}-{re.sub(r'[^a-zA-Z0-9_.+-]', '_', source.name)}" for n, source in enumerate(sources)]
    script = [
        *(f"read_verilog -sv {copy.name}" for copy in copies),
        f"{family.synthesis.command} -top {top} {arguments}".rstrip(),
        *family.synthesis.after,
        "check -assert",
        f"write_json {NETLIST}",
    ]
    try:
        for copy, source in zip(copies, sources, strict=True):
            copy.write_text(_without_indices(source.read_text(encoding="utf-8")), encoding="utf-8")
        _run_yosys("yosys", script, work, progress, family.synthesis.settings)
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)
    path = work / NETLIST
    netlist = json.loads(path.read_text(encoding="utf-8"))
    if family.synthesis.rewrite is not None:
        family.synthesis.rewrite(netlist, top)
    # Without the blanks that yosys writes: nextpnr does not get through more than about 50 MB.
    path.write_text(json.dumps(netlist, separators=(",", ":")), encoding="utf-8")
    return dict(sorted(Counter(cell["type"] for cell in netlist["modules"][top]["cells"].values()).items()))


def netlist_verilog(work: Path, top: str, *, netlist: str = NETLIST, progress: Progress = silent) -> Path:
    """A netlist in work, by default what `synthesise` left there, as Verilog for simulators."""
    content = json.loads((work / netlist).read_text(encoding="utf-8"))
    for cell in content["modules"][top]["cells"].values():
        # What nextpnr takes for an open output, Verilog would for a constant that is driven.
        for port in [port for port, bits in cell["connections"].items() if bits == ["x"]]:
            if cell["port_directions"][port] == "output":
                del cell["connections"][port]
    (work / _SIMULATED).write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    script = [
        f"read_json {_SIMULATED}",
        f"hierarchy -top {top}",
        "splitnets",  # a bus of which one bit depends on another is a loop to some simulators
        "write_verilog -noattr netlist.v",
    ]
    _run_yosys("netlist", script, work, progress)
    return work / "netlist.v"


def _run_yosys(name: str, script: Sequence[str], work: Path, progress: Progress, settings: Sequence[str] = ()) -> None:
    """Run passes in an interpreter of its own, in work, with values of the scratchpad set before."""
    (work / f"{name}.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
    run_step(
        "synthesis",
        "yosys",
        [sys.executable, "-c", _CHILD, f"{name}.ys", *settings],
        work / f"{name}.log",
        cwd=work,
        progress=progress,
        notable=_notable,
    )
