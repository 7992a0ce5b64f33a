"""LUTs in front of carry cells move into them: a pass over a netlist, since yosys uses two of a half's four inputs.

Each half of an ECP5's CCU2C adds what a LUT of four inputs makes: its output p is the sum of two bits u and v without
the carry, and where p is 0 the carry goes on as what the same table makes of its first two inputs alone, at 0 of the
others. So u may be any function of the first two, and v any of the others that is 0 where these are 0. yosys gives the
half u and v themselves; here the LUTs that make them, of a product's shifted copies or of a cleared accumulator, are
moved in, where nothing else reads them. `sim.netlist` simulates what comes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from rtl_gen.families.readers import count_readers

__all__ = ["absorb_luts"]

Cell = dict[str, Any]
Bit = int | str
_CARRY, _LUT, _PINS = "CCU2C", "LUT4", "ABCD"


class _Function:
    """A function of some nets, by its table: bit i is its value where net k has bit k of i."""

    def __init__(self, nets: Sequence[Bit], table: int):
        self.nets, self.table = list(nets), table

    def at(self, values: dict[Bit, int]) -> int:
        return self.table >> sum(values[net] << k for k, net in enumerate(self.nets)) & 1


def absorb_luts(netlist: dict[str, Any], top: str) -> int:
    """How many LUTs of a flat netlist became part of CCU2Cs, and are gone from it.

    Parameters
    ----------
    netlist : dict
        As yosys' write_json writes it; changed in place.
    top : str
        Module name.
    """
    module = netlist["modules"][top]
    cells: dict[str, Cell] = module["cells"]
    readers = count_readers(module)
    makers: dict[Bit, str] = {cell["connections"]["Z"][0]: name for name, cell in cells.items() if cell["type"] == _LUT}
    gone = 0
    for cell in [cell for cell in cells.values() if cell["type"] == _CARRY]:
        for half in "01":
            moved = _half(cell, half, cells, makers, readers)
            gone += len(moved)
            for name in moved:
                del cells[name]
    return gone


def _half(cell: Cell, half: str, cells: dict[str, Cell], makers: dict[Bit, str], readers: Counter[Bit]) -> list[str]:
    """Move what can be into a half of a carry cell; the LUTs that are gone by it."""
    pins = [cell["connections"][f"{pin}{half}"][0] for pin in _PINS]
    init = int(cell["parameters"][f"INIT{half}"], 2)
    if str(cell["parameters"][f"INJECT1_{half}"]).strip() != "NO":
        return []
    if any(isinstance(pin, int) for pin in pins[2:]) or pins[0] == pins[1] or not any(isinstance(p, int) for p in pins):
        return []

    def read(u: int, v: int) -> tuple[int, int]:
        """p, and the carry where p is 0, of values of both inputs."""
        index = sum(value << k for k, value in enumerate((u, v, *(int(pin == "1") for pin in pins[2:]))))
        return init >> index & 1, init >> (index & 3) & 1

    # What yosys makes: p is a sum of both, one of them perhaps inverted, and the carry is the first.
    table = {(u, v): read(u, v) for u, v in product((0, 1), repeat=2)}
    inverted = table[0, 0][0]
    if any(p != u ^ v ^ inverted or (p == 0 and carry != u) for (u, v), (p, carry) in table.items()):
        return []
    one, other = (_made(bit, cells, makers, readers) for bit in pins[:2])
    if inverted:  # the second is what is inverted
        other = [(name, _Function(f.nets, f.table ^ ((1 << (1 << len(f.nets))) - 1))) for name, f in other]
    best: tuple[list[str], list[Bit], int] | None = None
    for (name_u, u), (name_v, v) in product(one, other):
        moved = [name for name in (name_u, name_v) if name is not None]
        if not moved or (best is not None and len(best[0]) >= len(moved)):
            continue
        for first, second in ((u, v), (v, u)):
            found = _fitted(first, second)
            if found is not None:
                best = moved, *found
                break
    if best is None:
        return []
    moved, nets, table_bits = best
    for pin, net in zip(_PINS, nets, strict=True):
        cell["connections"][f"{pin}{half}"] = [net]
    cell["parameters"][f"INIT{half}"] = format(table_bits, "016b")
    for net in nets:
        readers[net] += 1
    for name in moved:
        for pin in _PINS:
            readers[cells[name]["connections"][pin][0]] -= 1
    return moved


def _made(
    bit: Bit, cells: dict[str, Cell], makers: dict[Bit, str], readers: Counter[Bit]
) -> list[tuple[str | None, _Function]]:
    """A net by itself, and as what the LUT makes of others that only this one reads; the latter first."""
    if not isinstance(bit, int):
        return [(None, _Function([], int(bit == "1")))]
    itself: tuple[str | None, _Function] = (None, _Function([bit], 0b10))
    name = makers.get(bit)
    if name is None or readers[bit] != 1 or name not in cells:
        return [itself]
    lut = cells[name]
    pins = [lut["connections"][pin][0] for pin in _PINS]
    init = int(lut["parameters"]["INIT"], 2)
    nets = list(dict.fromkeys(pin for pin in pins if isinstance(pin, int)))
    table = 0
    for number, values in enumerate(product((0, 1), repeat=len(nets))):
        of = dict(zip(reversed(nets), values, strict=True))
        index = sum((of[pin] if isinstance(pin, int) else int(pin == "1")) << k for k, pin in enumerate(pins))
        table |= (init >> index & 1) << number
    return [(name, _Function(nets, table)), itself]


def _fitted(u: _Function, v: _Function) -> tuple[list[Bit], int] | None:
    """The nets of the four inputs and the table, u's carry being read off the first two; None where it does not fit."""
    nets = list(dict.fromkeys([*u.nets, *v.nets]))
    if len(u.nets) > 2 or len(nets) > 4:
        return None
    for behind in _behind(u, v):
        first = [net for net in nets if net not in behind]
        if len(first) > 2 or len(behind) > 2:
            continue
        places: list[Bit] = [*first, *["0"] * (2 - len(first)), *behind, *["0"] * (2 - len(behind))]
        table = 0
        for number in range(16):
            values: dict[Bit, int] = {net: number >> k & 1 for k, net in enumerate(places) if net != "0"}
            table |= (u.at(values) ^ v.at(values)) << number
        # Where the others are 0, the table is u's.
        if all((table >> n & 1) == u.at({net: n >> k & 1 for k, net in enumerate(first)}) for n in range(4)):
            return places, table
    return None


def _behind(u: _Function, v: _Function) -> Iterator[list[Bit]]:
    """Which of v's nets can stand behind: those that u does not read, two of them or fewer."""
    free = [net for net in v.nets if net not in u.nets]
    if len(free) <= 2:
        yield free
    else:
        for left in free:
            yield [net for net in free if net != left]
