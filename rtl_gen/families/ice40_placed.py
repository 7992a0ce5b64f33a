"""A placed iCE40 design, as nextpnr writes it, made fit for models of its cells: pads and the PLL's clock are wires."""

from __future__ import annotations

from typing import Any

from rtl_gen.families.placed_cells import wire

__all__ = ["simulated"]

#: Inputs that are 1 where nothing is joined to them, by the cell; all others are then 0.
_HIGH = {"ICESTORM_LC": ("CEN",), "ICESTORM_RAM": ("RCLKE", "WCLKE"), "ICESTORM_DSP": ("CE",)}


def simulated(netlist: dict[str, Any], top: str, oscillator: str) -> None:
    """Change a netlist of nextpnr's `--write` in place: its one module is called `top`.

    The PLL's clock is the oscillator's port; nextpnr names no net between them, and gives the PLL's global buffer no
    input.
    """
    (module,) = netlist["modules"].values()
    netlist["modules"] = {top: module}
    ports = module["ports"].values()
    inputs = {bit for port in ports if port["direction"] == "input" for bit in port["bits"]}
    (clock,) = module["ports"][oscillator]["bits"]
    cells: dict[str, Any] = {}
    for name, cell in module["cells"].items():
        joined = cell["connections"]
        if cell["type"] == "SB_IO":
            (pad,) = joined["PACKAGE_PIN"]
            source, sink = ([pad], joined.get("D_IN_0")) if pad in inputs else (joined.get("D_OUT_0"), [pad])
            if source and sink:
                cells[name] = wire(source, sink)
        elif cell["type"] == "SB_GB":
            cells[name] = wire(joined["USER_SIGNAL_TO_GLOBAL_BUFFER"] or [clock], joined["GLOBAL_BUFFER_OUTPUT"])
        elif cell["type"] == "ICESTORM_PLL":
            kept = {"REFERENCECLK": [clock], "LOCK": joined["LOCK"]}
            ways = {"REFERENCECLK": "input", "LOCK": "output"}
            cells[name] = cell | {
                "type": "SB_PLL40_CORE",
                "parameters": {},
                "port_directions": ways,
                "connections": kept,
            }
        else:
            high = _HIGH.get(cell["type"], ())
            for port, way in cell["port_directions"].items():
                if way == "input" and not joined.get(port):
                    joined[port] = ["1" if port in high else "0"]
            cells[name] = cell
    module["cells"] = cells
