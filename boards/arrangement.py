"""A netlist arranged for the electrostatic placer: its hard blocks have places, and wide nets several drivers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from boards.critical import DESIGN
from boards.duplication import duplicate
from boards.estimate import positions
from boards.floorplan import floorplan, places
from qtt_hw.graph import Graph
from qtt_hw.progress import Progress, silent
from rtl_gen.families import Device, family_of
from rtl_gen.identifiers import identifiers
from rtl_gen.plan.plan import EnginePlan, Plan

__all__ = ["arrange", "units_in_order"]


def units_in_order(graph: Graph, plan: Plan) -> list[str]:
    """What the cells of each unit are called after, in the order of the datapath: an engine at its first stage."""
    order = {node.name: number for number, node in enumerate(graph.nodes)}
    units = plan.units
    first = {name: unit.stages[0] if isinstance(unit, EnginePlan) else name for name, unit in units.items()}
    called = dict(zip(units, identifiers(list(units)), strict=True))
    return [DESIGN + called[name] for name in sorted(units, key=lambda name: order[first[name]])]


def arrange(path: Path, top: str, device: Device, units: Sequence[str], *, progress: Progress = silent) -> int:
    """How many hard blocks of a netlist were given places; where there are any, drivers of wide nets are copied too.

    Parameters
    ----------
    path : Path
        As yosys' write_json writes it, flat; changed in place.
    top : str
        Module name.
    device : Device
    units : sequence of str
        What the names of cells begin with, in the order of the datapath.
    progress : Progress
    """
    placing = family_of(device).placing
    if placing is None or placing.sites is None or placing.copied is None:
        return 0
    netlist = json.loads(path.read_text(encoding="utf-8"))
    module, sites = netlist["modules"][top], placing.sites(device.name)
    count = floorplan(module, sites, units)
    if count:
        progress("floorplan", text=f"{count} hard blocks in the order of the datapath")
        duplicate(module, placing.copied, positions(module, places(module, sites)))
        path.write_text(json.dumps(netlist, separators=(",", ":")), encoding="utf-8")
    return count
