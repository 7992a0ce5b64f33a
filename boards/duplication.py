"""Registers and LUTs that drive very many others stand several times, each for readers that lie close together.

A router that does not look at timing leads a net with a thousand readers past all of them to the last. Copies of its
driver hold the same value in the same cycle, so nothing else changes.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rtl_gen.families.site import Copied

__all__ = ["GROUP", "MOST", "duplicate"]

#: Readers of a net from which on its driver is copied, and about as many as one copy then has.
MOST, GROUP = 64, 32

#: A cell's input: cell, port, number of the bit.
_Pin = tuple[str, str, int]


def duplicate(module: dict[str, Any], copied: Copied, positions: Mapping[str, tuple[float, float]]) -> int:
    """How many copies a flat netlist was given, of the drivers of nets with more than `MOST` readers.

    Parameters
    ----------
    module : dict
        As yosys' write_json writes it; changed in place.
    copied : Copied
    positions : mapping of str to (float, float)
        Roughly where each cell will lie.
    """
    cells: dict[str, Any] = module["cells"]
    drivers = dict[int, str]()
    readers = defaultdict[int, list[_Pin]](list)
    kept = {bit for port in module["ports"].values() for bit in port["bits"]}
    for name, cell in cells.items():
        output = copied.outputs.get(cell["type"])
        if output is not None and cell["connections"].get(output):
            drivers[cell["connections"][output][0]] = name
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "input":
                continue
            for number, bit in enumerate(bits):
                if port in copied.shared:
                    kept.add(bit)
                elif isinstance(bit, int):
                    readers[bit].append((name, port, number))
    free = 1 + max(_bits(module), default=1)
    before = free
    for bit in sorted(drivers, key=lambda bit: -len(readers[bit])):
        if len(readers[bit]) <= MOST:
            break
        name = drivers[bit]
        groups = _close_together(readers[bit], max(GROUP, int(len(readers[bit]) ** 0.5)), positions)
        for number, group in enumerate(groups if bit in kept else groups[1:]):
            other = copy.deepcopy(cells[name])
            other["connections"][copied.outputs[other["type"]]] = [free]
            cells[f"{name}_copy_{number}"] = other
            module["netnames"][f"{name}_copy_{number}"] = {"hide_name": 1, "bits": [free], "attributes": {}}
            for reader, port, index in group:
                cells[reader]["connections"][port][index] = free
            free += 1
    return free - before


def _bits(module: dict[str, Any]) -> set[int]:
    nets = [net["bits"] for net in (*module["netnames"].values(), *module["ports"].values())]
    nets += [bits for cell in module["cells"].values() for bits in cell["connections"].values()]
    return {bit for bits in nets for bit in bits if isinstance(bit, int)}


def _close_together(
    pins: Sequence[_Pin], size: int, positions: Mapping[str, tuple[float, float]]
) -> list[Sequence[_Pin]]:
    """Groups of at most so many, by halving what reaches farthest across."""
    if len(pins) <= size:
        return [pins]
    spans = [max(along) - min(along) for along in zip(*(positions[pin[0]] for pin in pins), strict=True)]
    axis = spans.index(max(spans))
    ordered = sorted(pins, key=lambda pin: positions[pin[0]][axis])
    parts = -(-len(pins) // size)
    cut = len(pins) * (parts // 2) // parts
    return [*_close_together(ordered[:cut], size, positions), *_close_together(ordered[cut:], size, positions)]
