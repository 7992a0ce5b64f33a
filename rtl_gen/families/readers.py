"""How often each net of a flat netlist is read: what passes over netlists ask before they move anything."""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["count_readers"]


def count_readers(module: dict[str, Any]) -> Counter[int | str]:
    """Inputs of cells and outputs of the module by net; constants, which have no net, are not counted.

    Parameters
    ----------
    module : dict
        As yosys' write_json writes it.
    """
    read = [
        bits
        for cell in module["cells"].values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "input"
    ]
    read += [port["bits"] for port in module["ports"].values() if port["direction"] != "input"]
    return Counter(bit for bits in read for bit in bits if isinstance(bit, int))
