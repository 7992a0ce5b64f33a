"""The ends of carry chains become halves of their own cells: a pass over a netlist, since nextpnr adds whole cells.

A chain of CCU2Cs begins with a carry that some net or constant gives, and may end with one that is read. nextpnr puts a
cell before the one, whose halves make a carry of an input, and a cell behind the other, even where nothing reads it;
the constants come over a net to thousands of cells. Here a half before the first does the former, with the constant in
its table, a half behind the last the latter, and halves that nothing reads are dropped: of a chain of n halves nextpnr
makes n + 4, this pass n + 1. `sim.netlist` simulates what comes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from rtl_gen.families.readers import count_readers

__all__ = ["close_chains"]

Cell = dict[str, Any]
Bit = int | str
_CARRY, _PINS = "CCU2C", "ABCD"
#: Of nextpnr, what an output is at that nothing reads, and an input that is of no influence.
_OPEN = "x"
#: Tables of a half whose sum is the carry that comes in, and of one that makes a carry: 0 for the sum, where C and D
#: are 1, so that what comes in has no influence, and A, 0 or 1 as a function of A and B alone.
_SUM, _CARRY_OF = 0x0000, {"A": 0x000A, "0": 0x0000, "1": 0x000F}


@dataclass(frozen=True)
class _Half:
    """What one of a cell's two bits is: its table, the nets of A, B, C and D, and the one of the sum."""

    init: int
    pins: tuple[Bit, ...]
    out: Bit | None


def close_chains(netlist: dict[str, Any], top: str) -> int:
    """How many CCU2Cs of a flat netlist are gone; those that stand begin and end chains that need no other cells.

    Parameters
    ----------
    netlist : dict
        As yosys' write_json writes it; changed in place. Outputs that nothing reads are then at "x".
    top : str
        Module name.
    """
    module = netlist["modules"][top]
    cells: dict[str, Cell] = module["cells"]
    readers = count_readers(module)
    nets = count(_highest(module) + 1)
    gone = 0
    for chain in list(_chains(cells, readers)):
        gone += _close([cells[name] for name in chain], chain, cells, readers, nets)
    return gone


def _highest(module: dict[str, Any]) -> int:
    """The highest number of a net."""
    lists = [bits for cell in module["cells"].values() for bits in cell["connections"].values()]
    lists += [each["bits"] for each in (*module["ports"].values(), *module.get("netnames", {}).values())]
    return max((bit for bits in lists for bit in bits if isinstance(bit, int)), default=1)


def _chains(cells: dict[str, Cell], readers: Counter[Bit]) -> Iterator[list[str]]:
    """Names of carry cells, each of which alone reads the carry of the one before it."""
    carries = [name for name, cell in cells.items() if cell["type"] == _CARRY]
    after: dict[Bit, str] = {cells[name]["connections"]["CIN"][0]: name for name in carries}
    linked = {bit for name in carries for bit in cells[name]["connections"]["COUT"] if readers[bit] == 1}
    for name in carries:
        if cells[name]["connections"]["CIN"][0] in linked:
            continue
        chain = [name]
        while (carry := cells[chain[-1]]["connections"]["COUT"][0]) in linked and carry in after:
            chain.append(after[carry])
        yield chain


def _close(
    chain: list[Cell], names: list[str], cells: dict[str, Cell], readers: Counter[Bit], nets: Iterator[int]
) -> int:
    """Pack the halves of a chain again, with one before them and perhaps one behind them; the cells that are gone."""
    if any(str(cell["parameters"][f"INJECT1_{half}"]).strip() != "NO" for cell in chain for half in "01"):
        return 0
    first, last = chain[0]["connections"]["CIN"][0], chain[-1]["connections"]["COUT"][0]
    given = first if first in ("0", "1") else "A"
    halves = [_Half(_CARRY_OF[given], ("0" if given != "A" else first, "0", "1", "1"), None)]
    halves += [_half(cell, half) for cell in chain for half in "01"]
    if readers[last]:
        halves.append(_Half(_SUM, ("0", "0", "1", "1"), last))
    else:
        while halves and (halves[-1].out is None or not readers[halves[-1].out]):
            halves.pop()
    if len(halves) % 2:
        halves.append(_Half(_SUM, ("0", "0", "1", "1"), None))
    kept = len(halves) // 2
    for _ in range(kept - len(chain)):  # both ends are new
        fresh = {**chain[-1], "connections": {}, "parameters": dict(chain[-1]["parameters"])}
        cells[f"{names[-1]}$end"] = fresh
        chain.append(fresh)
    carry: Bit = _OPEN
    for index, cell in enumerate(chain[:kept]):
        pins = {"CIN": [carry]}
        for half, content in zip("01", halves[2 * index : 2 * index + 2], strict=True):
            pins |= {f"{pin}{half}": [net] for pin, net in zip(_PINS, content.pins, strict=True)}
            pins[f"S{half}"] = [_OPEN if content.out is None else content.out]
            cell["parameters"][f"INIT{half}"] = format(content.init, "016b")
        carry = next(nets) if index < kept - 1 else _OPEN
        cell["connections"] = {**pins, "COUT": [carry]}
    for name in names[kept:]:
        del cells[name]
    return len(names) - kept


def _half(cell: Cell, half: str) -> _Half:
    pins = cell["connections"]
    table = int(cell["parameters"][f"INIT{half}"], 2)
    return _Half(table, tuple(pins[f"{pin}{half}"][0] for pin in _PINS), pins[f"S{half}"][0])
