"""The reset of a placed ECP5 design on the network that clocks take: to tens of thousands of registers in 3 ns.

Before a design is placed, a net to all its registers holds it together: without it the electrostatic placer spreads
cells over the device. So the net changes between placing and routing.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

__all__ = ["LEAST", "drive_globally"]

#: Registers from which on ordinary wires to all of them are what limits the clock.
LEAST = 2000
_BUFFER, _RESET = "DCCA", "LSR"
#: Of nextpnr's attributes: a bit that is set, and a place that is not to be changed.
_SET, _LOCKED = f"{1:032b}", f"{5:032b}"


def drive_globally(netlist: dict[str, Any]) -> int:
    """How many registers of a placed design had their reset moved to a buffer of clocks: 0 where no net has so many.

    Parameters
    ----------
    netlist : dict
        As nextpnr's --write writes it, placed and not routed; changed in place.
    """
    (module,) = netlist["modules"].values()
    cells: dict[str, Any] = module["cells"]
    registers = [cell for cell in cells.values() if cell["connections"].get(_RESET)]
    resets = Counter(cell["connections"][_RESET][0] for cell in registers)
    buffers = [cell["attributes"]["NEXTPNR_BEL"] for cell in cells.values() if cell["type"] == _BUFFER]
    if not resets or not buffers:
        return 0
    (net, count), *_ = resets.most_common(1)
    drivers = {
        bit
        for cell in cells.values()
        for port, bits in cell["connections"].items()
        for bit in bits
        if cell["type"] == "TRELLIS_FF" and cell["port_directions"][port] == "output"
    }
    if count < LEAST or net not in drivers:
        return 0
    free = 1 + max(bit for net_ in module["netnames"].values() for bit in net_["bits"] if isinstance(bit, int))
    for cell in registers:
        if cell["connections"][_RESET] == [net]:
            cell["connections"][_RESET] = [free]
    name = "$reset$global"
    cells[name] = {
        "hide_name": 1,
        "type": _BUFFER,
        "parameters": {},
        "attributes": {"BEL_STRENGTH": _LOCKED, "NEXTPNR_BEL": _beside(buffers)},
        "port_directions": {"CLKI": "input", "CLKO": "output", "CE": "input"},
        "connections": {"CLKI": [net], "CLKO": [free], "CE": []},
    }
    attributes = {"ROUTING": " ", "ECP5_IS_GLOBAL": _SET}
    module["netnames"][name] = {"hide_name": 1, "bits": [free], "attributes": attributes}
    return count


def _beside(buffers: list[str]) -> str:
    """A buffer of the same group as the first one that is used: X67/Y0/TDCC1 of X67/Y0/TDCC0."""
    found = re.fullmatch(r"(.*DCC)(\d+)", buffers[0])
    assert found is not None, "nextpnr calls buffers so"
    return next(name for number in range(len(buffers) + 1) if (name := f"{found[1]}{number}") not in buffers)
