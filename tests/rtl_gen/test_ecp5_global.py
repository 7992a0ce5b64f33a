"""The reset of a placed design moved to a buffer of clocks: which net, to which buffer, and nothing else."""

import copy
from typing import Any

from rtl_gen.families.ecp5_global import LEAST, drive_globally

CLOCK, RESET, DATA = 2, 3, 4


def placed(registers: int, *, buffers: tuple[str, ...] = ("X67/Y0/TDCC0",), driven: bool = True) -> dict[str, Any]:
    cells: dict[str, Any] = {
        f"ff_{n}": {
            "type": "TRELLIS_FF",
            "port_directions": {"CLK": "input", "LSR": "input", "DI": "input", "Q": "output"},
            "connections": {"CLK": [CLOCK], "LSR": [RESET], "DI": [RESET], "Q": [100 + n]},
            "attributes": {"NEXTPNR_BEL": f"X{n}/Y9/SLICEA.FF0"},
        }
        for n in range(registers)
    }
    cells["own"] = {
        "type": "TRELLIS_FF",
        "port_directions": {"CLK": "input", "LSR": "input", "DI": "input", "Q": "output"},
        "connections": {"CLK": [CLOCK], "LSR": [], "DI": [DATA], "Q": [RESET] if driven else []},
        "attributes": {"NEXTPNR_BEL": "X1/Y1/SLICEA.FF0"},
    }
    for name in buffers:
        cells[name] = {
            "type": "DCCA",
            "port_directions": {"CLKI": "input", "CLKO": "output"},
            "connections": {"CLKI": [1], "CLKO": [CLOCK]},
            "attributes": {"NEXTPNR_BEL": name},
        }
    nets = {f"net_{bit}": {"bits": [bit]} for bit in (1, CLOCK, RESET, DATA, *range(100, 100 + registers))}
    return {"modules": {"top": {"cells": cells, "netnames": nets}}}


def test_resets_move_to_a_buffer_beside_the_clocks_own_and_data_stays() -> None:
    netlist = placed(LEAST, buffers=("X67/Y0/TDCC0", "X67/Y0/TDCC1"))
    assert drive_globally(netlist) == LEAST
    (module,) = netlist["modules"].values()
    (buffer,) = [cell for name, cell in module["cells"].items() if "reset" in name]
    assert buffer["attributes"]["NEXTPNR_BEL"] == "X67/Y0/TDCC2"
    (made,) = buffer["connections"]["CLKO"]
    assert buffer["connections"]["CLKI"] == [RESET] and made > 100 + LEAST - 1
    assert all(module["cells"][f"ff_{n}"]["connections"]["LSR"] == [made] for n in range(LEAST))
    assert all(module["cells"][f"ff_{n}"]["connections"]["DI"] == [RESET] for n in range(LEAST))
    (net,) = [net for net in module["netnames"].values() if net["bits"] == [made]]
    assert int(net["attributes"]["ECP5_IS_GLOBAL"], 2) == 1


def test_few_registers_or_a_reset_of_a_pin_stay_as_they_are() -> None:
    for netlist in (placed(LEAST - 1), placed(LEAST, driven=False), placed(LEAST, buffers=())):
        before = copy.deepcopy(netlist)
        assert drive_globally(netlist) == 0 and netlist == before
