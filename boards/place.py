"""A netlist placed and routed by the family's nextpnr, its timing and utilisation, and the packed bitstream."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from boards.step import run_step
from boards.synthesis import NETLIST
from qtt_hw.children import Start, running
from qtt_hw.progress import Progress, silent
from rtl_gen.families import Device, Family, family_of
from rtl_gen.families.family import Placing
from rtl_gen.families.tools import Tool

__all__ = ["LOG", "CriticalPath", "Placement", "Placer", "TooLarge", "pack", "place", "prepare"]

#: What nextpnr says while it works.
LOG = "nextpnr.log"


#: `heap` is nextpnr's own choice, with its first router; `static` the electrostatic placer, with its second router: for
#: designs that fill the block RAM, which the former pair spreads too far to be routed. Where both do, the second
#: router, which does not look at timing, costs clock. `heap-timing` is `heap` that weighs timing twice as much: single
#: stages gain by it, whole designs, which it spreads, lose.
Placer = Literal["heap", "heap-timing", "static"]
_PLACERS: dict[Placer, tuple[str, ...]] = {
    "heap": ("--placer", "heap", "--router", "router1"),
    "heap-timing": ("--placer", "heap", "--placer-heap-timingweight", "20", "--router", "router1"),
    "static": ("--placer", "static", "--router", "router2"),
}

_REPORT = "report.json"
_CHILD = "import sys; import {module} as tools; sys.exit({call})"


@dataclass(frozen=True)
class CriticalPath:
    """A slowest path, within a clock domain or between two: delays in ns, its steps as lines of text, its cells."""

    total_ns: float
    logic_ns: float
    routing_ns: float
    start: str
    end: str
    steps: tuple[str, ...]
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placement:
    """What nextpnr reports.

    Parameters
    ----------
    fmax : dict of str to float
        MHz by clock net.
    used : dict of str to int
        Cells by type, of those that are used.
    paths : dict of str to CriticalPath
        By clock net.
    worst : tuple of CriticalPath
        Those, and of each two events, a clock's edge or a pin, the slowest from one to the other.
    """

    fmax: dict[str, float]
    used: dict[str, int]
    paths: dict[str, CriticalPath]
    worst: tuple[CriticalPath, ...] = ()

    @property
    def slowest(self) -> str | None:
        """The clock net of the lowest fmax; None without a path between registers."""
        return min(self.fmax, key=lambda net: self.fmax[net], default=None)

    @property
    def slowest_mhz(self) -> float | None:
        return min(self.fmax.values(), default=None)


class TooLarge(ValueError):
    """The device has less of something than the design needs."""


def _command(tool: Tool) -> list[str]:
    """The start of a command line that runs a tool in an interpreter of its own."""
    if importlib.util.find_spec(tool.module.partition(".")[0]) is None:
        raise ValueError(f"{tool.name} needs the package {tool.package}: pip install 'qtt-hw[fpga]'")
    return [sys.executable, "-c", _CHILD.format(module=tool.module, call=tool.call)]


def _placing(family: Family) -> Placing:
    if family.placing is None:
        raise ValueError(f"{family.title}: no package of pip places it; a design for it ends at synthesis")
    return family.placing


def _notable(line: str) -> str | None:
    text = re.sub(r"^(Info|Warning): ", "", line).strip()
    if re.match(r"(Packing|Promoting|Placing|Running|Routing|Max frequency|Program finished|at iteration)", text):
        return text
    found = re.match(r"(\d+) \|.*\| +(\d+)\|", text)
    return f"{found.group(2)} arcs remain" if found else None


def _overflow(log: str, family: Family) -> str | None:
    """Which resources the design wants more of than there are, or None."""
    over, names = [], family.placed.names
    for cell, used, available in re.findall(r"(\w+): +(\d+)/ *(\d+) +\d+%", log):
        if cell in names and int(used) > int(available):
            missing = int(used) - int(available)
            over.append(f"{used} {names[cell]} ({cell}) of {available}, {missing} too many")
    return "; ".join(over) or None


def _path(item: dict[str, Any]) -> CriticalPath:
    sums = {"logic": 0.0, "routing": 0.0}
    steps = []
    total = 0.0
    for step in item["path"]:
        delay = float(step["delay"])
        total += delay
        sums["routing" if step["type"] == "routing" else "logic"] += delay
        end = f"{step['to']['cell']}.{step['to']['port']}"
        what = f"net {step['net']} to {end}" if step["type"] == "routing" else end
        steps.append(f"{total:6.2f} ns  {step['type']:>8} {delay:5.2f}  {what}")
    first, last = item["path"][0]["from"], item["path"][-1]["to"]
    return CriticalPath(
        round(total, 3),
        round(sums["logic"], 3),
        round(sums["routing"], 3),
        f"{first['cell']}.{first['port']}",
        f"{last['cell']}.{last['port']}",
        tuple(steps),
        tuple(dict.fromkeys([first["cell"], *(step["to"]["cell"] for step in item["path"])])),
    )


def place(
    work: Path,
    device: Device,
    *,
    package: str = "CABGA381",
    speed: int = 6,
    frequency_mhz: float,
    seed: int = 1,
    placer: Placer = "heap",
    netlist: Path | None = None,
    constraints: Path | None = None,
    written: str | None = None,
    start: Start = running,
    progress: Progress = silent,
) -> Placement:
    """Place and route a netlist; the result is left in work, the report in work/report.json.

    Parameters
    ----------
    work : Path
        Folder that the files are written to.
    device : Device
    package, speed : str, int
        As in the part's name.
    frequency_mhz : float
        What every clock without a constraint of its own should reach; missing it is no error.
    seed : int
        Of the placer.
    placer : "heap", "heap-timing" or "static"
    netlist : Path, optional
        work/netlist.json unless given.
    constraints : Path, optional
        The family's file of pins; without it the top is placed out of context, with no pads.
    written : str, optional
        Name of a file in work that the placed netlist is written to.
    start : callable
        As `qtt_hw.children.running`.
    progress : Progress

    Raises
    ------
    TooLarge
        When the design does not fit, by how much.
    ValueError
        When the tool is missing or fails.
    """
    family = family_of(device)
    placing = _placing(family)
    command = _command(placing.place)
    if not device.place_arguments:
        raise ValueError(f"device {device.name!r} cannot be placed: name one of a family")
    if constraints is None and not placing.alone:
        raise ValueError(f"{family.title}: a module by itself, without pads, is not placed; measure it on an ECP5")
    files = {"constraints": os.path.relpath(constraints or work, work), "placed": placing.placed}
    pattern = [*device.place_arguments, *placing.place.arguments, *(placing.pads if constraints else placing.alone)]
    arguments = [
        *(argument.format(package=package, speed=speed, **files) for argument in pattern),
        *("--freq", f"{frequency_mhz:g}", "--seed", str(seed)),
        *_PLACERS[placer],
        *("--json", os.path.relpath(netlist or work / NETLIST, work), "--report", _REPORT, "--timing-allow-fail"),
        *(() if written is None else ("--write", written)),
    ]
    log = work / LOG
    try:
        run_step(
            *("place and route", "nextpnr", [*command, *arguments], log),
            cwd=work,
            start=start,
            progress=progress,
            notable=_notable,
        )
    except ValueError:
        over = _overflow(log.read_text(encoding="utf-8"), family)
        if over is None:
            raise
        raise TooLarge(f"the design does not fit {device.name}: {over}") from None
    report = json.loads((work / _REPORT).read_text(encoding="utf-8"))
    fmax = {net: round(float(entry["achieved"]), 2) for net, entry in report["fmax"].items()}
    used = {cell: int(entry["used"]) for cell, entry in report["utilization"].items() if entry["used"]}
    paths = {}
    for item in report["critical_paths"]:
        if item["from"] == item["to"] and item["from"].startswith("posedge ") and item["path"]:
            paths[item["from"].removeprefix("posedge ")] = _path(item)
    worst = tuple(_path(item) for item in report["critical_paths"] if item["path"])
    return Placement(fmax, used, paths, worst)


def prepare(family: Family, work: Path) -> None:
    """Have nextpnr compiled, which it is when it first runs, and once for all: not by several processes at once."""
    tool = _placing(family).place
    run_step(tool.name, tool.name, [*_command(tool), "--version"], work / LOG, cwd=work)


def pack(work: Path, bitstream: Path, device: Device, *, progress: Progress = silent) -> None:
    """Write the bitstream of what `place` left in work."""
    placing = _placing(family_of(device))
    tool = placing.pack
    run_step(
        "bitstream",
        tool.name,
        [*_command(tool), *tool.filled(placed=placing.placed, bitstream="packed.bit", part=device.part)],
        work / f"{tool.name}.log",
        cwd=work,
        progress=progress,
    )
    (work / "packed.bit").replace(bitstream)
