"""A placed ECP5 design, as nextpnr writes it, made fit for models of its cells: pads and global buffers are wires."""

from __future__ import annotations

from typing import Any

from rtl_gen.families.placed_cells import inverted, wire

__all__ = ["simulated"]

#: Inputs of a LUT are 1 where nothing is joined to them.
_LUT = ("A", "B", "C", "D")


def simulated(netlist: dict[str, Any], top: str, oscillator: str) -> None:
    """Change a netlist of nextpnr's `--write` in place: its one module is called `top`.

    nextpnr leaves inputs open that are constant: a LUT's are then 1, a block's what a parameter named after the input
    says, CEAMUX for CEA: 0, 1, the input itself, which is 1, or INV, which is 0.
    """
    (module,) = netlist["modules"].values()
    netlist["modules"] = {top: module}
    inputs = {bit for port in module["ports"].values() if port["direction"] == "input" for bit in port["bits"]}
    free = 1 + max(bit for cell in module["cells"].values() for bits in cell["connections"].values() for bit in bits)
    cells: dict[str, Any] = {}
    for name, cell in module["cells"].items():
        kind, joined, parameters = cell["type"], cell["connections"], cell["parameters"]
        if kind == "TRELLIS_IO":
            (pad,) = joined["B"]
            source, sink = ([pad], joined["O"]) if pad in inputs else (joined["I"], [pad])
            if source and sink:
                cells[name] = wire(source, sink)
            continue
        if kind == "DCCA":
            cells[name] = wire(joined["CLKI"], joined["CLKO"])
            continue
        if kind == "TRELLIS_COMB":
            if parameters.get("MODE") == "RAMW_BLOCK":  # whose LUT stands aside for the address of a LUT RAM
                continue
            parameters["IS_Z1"] = f"{bool(joined.get('FXA') or joined.get('FXB')):032b}"
            _close(joined, cell, {pin: "1" for pin in _LUT})
        elif kind == "TRELLIS_RAMW":
            _close(joined, cell, dict.fromkeys(cell["port_directions"], "1"))
        elif kind == "TRELLIS_FF":
            if not joined.get("DI"):
                joined["DI"], joined["M"] = joined.pop("M"), []
            parameters.pop("SD", None)
            cell["port_directions"] |= {"DI": "input", "M": "input"}
            _close(joined, cell, {"CE": "1", "LSR": "1" if parameters.get("LSRMUX") == "INV" else "0"})
        elif kind in ("DP16KD", "MULT18X18D"):
            free = _of_block(name, cell, cells, free)
        elif kind == "EHXPLLL":
            kept = {pin: joined[pin] for pin in ("CLKI", "CLKOP", "LOCK")}
            cell |= {"parameters": {}, "connections": kept}
            cell["port_directions"] = {"CLKI": "input", "CLKOP": "output", "LOCK": "output"}
        else:
            raise ValueError(f"the placed design has a cell {kind!r} of which there is no model for simulation")
        cells[name] = cell
    module["cells"] = cells


def _close(joined: dict[str, list[Any]], cell: dict[str, Any], values: dict[str, str]) -> None:
    """Join open inputs of a cell to constants, 0 unless something else is said."""
    for pin, way in cell["port_directions"].items():
        if way == "input" and not joined.get(pin):
            joined[pin] = [values.get(pin, "0")]


def _of_block(name: str, cell: dict[str, Any], cells: dict[str, Any], free: int) -> int:
    """Join a block's inputs as the parameters of its pins say; returns the first number that no net has."""
    joined, parameters = cell["connections"], cell["parameters"]
    for pin, way in list(cell["port_directions"].items()):
        setting = str(parameters.pop(f"{pin}MUX", "")).strip()
        if way != "input":
            continue
        if not joined.get(pin) and pin.startswith("SRI"):  # of chains of multipliers, which there are none of
            del joined[pin], cell["port_directions"][pin]
        elif not joined.get(pin):
            joined[pin] = ["1" if setting in ("1", pin) else "0"]
        elif setting == "INV":
            cells[f"{name}.{pin}"] = inverted(joined[pin], [free])
            joined[pin], free = [free], free + 1
    return free
