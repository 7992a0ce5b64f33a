"""Registers behind block RAMs become the blocks' own: a pass over a netlist, since yosys leaves the latter unused.

Without it an ECP5's data stands at the pins of a DP16KD 5.7 ns after the clock (speed 6), with it after 1.0 ns.
`sim.netlist` simulates what comes out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

__all__ = ["absorb_registers"]

Cell = dict[str, Any]
_MEMORY, _REGISTER, _PINS = "DP16KD", "TRELLIS_FF", 18


def absorb_registers(netlist: dict[str, Any], top: str) -> int:
    """How many flip-flops of a flat netlist became the output registers of DP16KDs, and are gone from it.

    A port's outputs move together: each that is used must go to one flip-flop and nothing else, all of the port's
    clock, without enable, reset, or preset.

    Parameters
    ----------
    netlist : dict
        As yosys' write_json writes it; changed in place.
    top : str
        Module name.
    """
    module = netlist["modules"][top]
    cells: dict[str, Cell] = module["cells"]
    readers: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for bit in bits:
                    readers[bit].append((name, port))
    for port in module["ports"].values():
        if port["direction"] != "input":
            for bit in port["bits"]:
                readers[bit].append(("", ""))
    gone = 0
    for memory in [cell for cell in cells.values() if cell["type"] == _MEMORY]:
        for sides in _ports(memory):
            registers = _registers(memory, sides, cells, readers) if _reads_always(memory, sides) else None
            if registers is None:
                continue
            for side in sides:
                memory["parameters"][f"REGMODE_{side}"] = "OUTREG"
                memory["connections"][f"OCE{side}"] = ["1"]
                memory["port_directions"][f"OCE{side}"] = "input"
            for pin, name in registers:
                memory["connections"][pin] = cells.pop(name)["connections"]["Q"]
            gone += len(registers)
    return gone


def _ports(memory: Cell) -> Iterator[str]:
    """Sides whose outputs move together: both where a port is 36 bits wide, which uses the pins of both."""
    wide = any(int(memory["parameters"][f"DATA_WIDTH_{side}"], 2) == 36 for side in "AB")
    yield from ("BA",) if wide else ("A", "B")


def _reads_always(memory: Cell, sides: str) -> bool:
    """Whether a memory's read, at the first side, has no enable and no side a reset: the registers would share them."""
    pins = memory["connections"]
    return pins[f"CE{sides[0]}"] == ["1"] and all(pins[f"RST{side}"] == ["0"] for side in sides)


def _registers(
    memory: Cell, sides: str, cells: dict[str, Cell], readers: dict[int, list[tuple[str, str]]]
) -> list[tuple[str, str]] | None:
    """(pin, flip-flop) of the used outputs; None where there are none, or where some cannot move."""
    clock = memory["connections"][f"CLK{sides[0]}"]
    found = []
    for pin in (f"DO{side}{index}" for side in sides for index in range(_PINS)):
        bits = memory["connections"].get(pin, [])
        if not bits or not readers[bits[0]]:
            continue
        (name, port), *others = readers[bits[0]]
        register = cells.get(name)
        if others or register is None or register["type"] != _REGISTER or port not in ("DI", "M"):
            return None
        if not _plain(register, clock):
            return None
        found.append((pin, name))
    return found or None


def _plain(register: Cell, clock: list[Any]) -> bool:
    """Whether a flip-flop only delays, from 0 at the start, at the rising edge of a clock."""
    parameters, pins = register["parameters"], register["connections"]
    return (
        pins["CLK"] == clock
        and parameters.get("CLKMUX", "CLK") == "CLK"
        and (parameters.get("CEMUX", "CE").strip() == "1" or pins.get("CE") == ["1"])
        and pins.get("LSR", ["0"]) == ["0"]
        and parameters.get("REGSET", "RESET") == "RESET"
    )
