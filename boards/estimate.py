"""Roughly where the cells of a netlist will come to lie, as the places of its hard blocks pull them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtl_gen.families.site import Site

__all__ = ["positions"]

#: Nets to more readers pull in all directions.
MOST_READERS = 32
#: Of a fixed point iteration: what is left to move is by far less than a tile.
STEPS = 400
#: How much the middle of the device pulls beside the nets: what no net ties to a place is there.
MIDDLE = 1e-4


def positions(module: dict[str, Any], places: Mapping[str, Site]) -> dict[str, tuple[float, float]]:
    """Column and row of each cell: the mean of its neighbours', where all nets pull alike, those to many readers not.

    Parameters
    ----------
    module : dict
        As yosys' write_json writes it.
    places : mapping of str to Site
        Of cells that stand somewhere.
    """
    cells: dict[str, Any] = module["cells"]
    index = {name: number for number, name in enumerate(cells)}
    drivers, readers = dict[int, int](), dict[int, list[int]]()
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            for bit in bits:
                if isinstance(bit, int):
                    if cell["port_directions"][port] == "output":
                        drivers[bit] = index[name]
                    else:
                        readers.setdefault(bit, []).append(index[name])
    ends: list[tuple[int, int, float]] = []
    for bit, reading in readers.items():
        if bit in drivers and len(reading) <= MOST_READERS:
            ends += [(drivers[bit], reader, 1 / len(reading)) for reader in reading]
    there = np.array([(site.x, site.y) for site in places.values()], dtype=np.float64).reshape(-1, 2)
    middle = (there.min(0) + there.max(0)) / 2 if len(there) else np.zeros(2)
    at: npt.NDArray[np.float64] = np.tile(middle, (len(cells), 1))
    fixed = [index[name] for name in places]
    at[fixed] = there
    if ends:
        first, second = (np.array([end[side] for end in ends]) for side in (0, 1))
        weights = np.array([end[2] for end in ends])
        one, other, weight = np.r_[first, second], np.r_[second, first], np.r_[weights, weights]
        total = np.bincount(one, weight, len(cells)) + MIDDLE
        for _ in range(STEPS):
            for axis in (0, 1):
                pulled = np.bincount(one, weight * at[other, axis], len(cells)) + MIDDLE * middle[axis]
                at[:, axis] = pulled / total
            at[fixed] = there
    return {name: (float(x), float(y)) for name, (x, y) in zip(cells, at, strict=True)}
