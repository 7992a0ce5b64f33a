"""Where the hard blocks of a design that fills them stand: in the order of its stages, along the device.

nextpnr's placers pull cells together as if they could stand anywhere, and then move multipliers and block RAMs to the
few places there are. Where a design fills these, the blocks end up in no order, and each operand's net leads from one
side of the device to the other. A datapath's order is known: stage after stage, and in a stage operand after operand.
So blocks are given their places beforehand, along a snake: to the right in the first row of multipliers, to the left
in the next.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rtl_gen.families.site import Site

__all__ = ["FULL", "floorplan", "places"]

#: From this share of a kind's sites on its blocks are given places: fewer than that the placer has room to choose for.
FULL = 0.75
#: What the placer takes a cell's place from.
_PLACE = "BEL"


def floorplan(module: dict[str, Any], sites: Mapping[str, Sequence[Site]], units: Sequence[str]) -> int:
    """How many hard blocks of a flat netlist were given a place, of kinds that the design fills.

    Each unit takes a share of the snake by the cells it has, whatever they are, in the order of units; its blocks are
    spread over that share operand after operand. Blocks take the sites that are nearest
    along the snake, in this order.

    Parameters
    ----------
    module : dict
        As yosys' write_json writes it; changed in place.
    sites : mapping of str to sequence of Site
        By type of cell.
    units : sequence of str
        What the names of cells begin with, in the order of the datapath. The cells of none come last.
    """
    cells: dict[str, Any] = module["cells"]
    full = [kind for kind in sites if _count(cells, kind) >= FULL * len(sites[kind])]
    if not full:
        return 0
    rows = sorted({site.y for site in next(iter(sites.values()))})
    width = 1 + max(site.x for kind in sites for site in sites[kind])
    owners = {name: _unit(name, units) for name in cells}
    sizes = dict.fromkeys((*units, None), 0)
    for owner in owners.values():
        sizes[owner] += 1
    length = len(rows) / sum(sizes.values())
    placed = 0
    for kind in full:
        blocks = defaultdict[str | None, list[str]](list)
        for name, cell in cells.items():
            if cell["type"] == kind:
                blocks[owners[name]].append(name)
        wanted, start = dict[str, float](), 0.0
        for unit, size in sizes.items():
            share = size * length / max(1, len(blocks[unit]))
            for number, name in enumerate(sorted(blocks[unit], key=_operand_first)):
                wanted[name] = start + (number + 0.5) * share
            start += size * length
        free = sorted(sites[kind], key=lambda site: _along(site, rows, width))
        chosen = _in_order(list(wanted.values()), [_along(site, rows, width) for site in free])
        for name, index in zip(wanted, chosen, strict=True):
            cells[name].setdefault("attributes", {})[_PLACE] = free[index].name
        placed += len(wanted)
    return placed


def places(module: dict[str, Any], sites: Mapping[str, Sequence[Site]]) -> dict[str, Site]:
    """Of cells of a netlist that have a place: which."""
    named = {site.name: site for of in sites.values() for site in of}
    given = {name: cell.get("attributes", {}).get(_PLACE) for name, cell in module["cells"].items()}
    return {name: named[place] for name, place in given.items() if place in named}


def _count(cells: Mapping[str, Any], kind: str) -> int:
    return sum(cell["type"] == kind for cell in cells.values())


def _unit(name: str, units: Sequence[str]) -> str | None:
    return max((unit for unit in units if name.startswith((f"{unit}.", f"{unit}__"))), key=len, default=None)


def _operand_first(name: str) -> tuple[str, list[int]]:
    """What names are sorted by: lane_0_2, lane_1_2, lane_0_10: the multipliers of one operand lie together.

    Their operand reaches them within a cycle, whereas sums of their products pass a register after each addition.
    """
    return re.sub(r"\d+", "#", name), [int(number) for number in reversed(re.findall(r"\d+", name))]


def _along(site: Site, rows: Sequence[int], width: int) -> float:
    """How far along the snake a site lies, in rows: of the row that is nearest to it, the upper one of two."""
    number = min(range(len(rows)), key=lambda row: abs(rows[row] - site.y))
    across = (site.x + 0.5) / width
    return number + (across if number % 2 == 0 else 1 - across)


def _in_order(wanted: Sequence[float], there: Sequence[float]) -> list[int]:
    """For each of ascending positions one of as many or more, in order, so that the sum of distances is least.

    Examples
    --------
    >>> _in_order([0.1, 0.2, 2.0], [0.0, 1.0, 2.0, 3.0])
    [0, 1, 2]
    """
    if len(wanted) > len(there):
        raise ValueError(f"the design does not fit: {len(wanted)} blocks for {len(there)} places")
    spare = len(there) - len(wanted)
    # least[i][k]: the sum for the first i, when the i-th takes the (i + k)-th place at most
    least = [[0.0] * (spare + 1)]
    for i, position in enumerate(wanted):
        row, best = [], float("inf")
        for k in range(spare + 1):
            best = min(best, least[i][k] + abs(position - there[i + k]))
            row.append(best)
        least.append(row)
    chosen, k = [], spare
    for i in range(len(wanted), 0, -1):
        while k and least[i][k - 1] == least[i][k]:
            k -= 1
        chosen.append(i - 1 + k)
    return chosen[::-1]
