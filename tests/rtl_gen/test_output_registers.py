"""Which flip-flops become the output registers of block RAMs, and which must not."""

import copy
from typing import Any

import pytest

from rtl_gen.families.output_registers import absorb_registers

CLOCK, FIRST = 2, 100


def register(d: int, q: int, **changes: Any) -> dict[str, Any]:
    pins = {"CLK": [CLOCK], "DI": [d], "LSR": ["0"], "Q": [q]}
    return {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET", **changes.get("set", {})},
        "port_directions": {name: "output" if name == "Q" else "input" for name in (*pins, *changes.get("pins", {}))},
        "connections": pins | changes.get("pins", {}),
    }


def memory(widths: tuple[int, int] = (18, 18)) -> dict[str, Any]:
    pins: dict[str, list[Any]] = {"CLKA": [CLOCK], "CLKB": [CLOCK], "OCEA": ["0"], "OCEB": ["0"]}
    pins |= {"CEA": ["1"], "CEB": ["1"], "RSTA": ["0"], "RSTB": ["0"]}
    pins |= {f"DOA{i}": [FIRST + i] for i in range(18)} | {f"DOB{i}": [FIRST + 18 + i] for i in range(18)}
    parameters = {f"DATA_WIDTH_{side}": f"{width:032b}" for side, width in zip("AB", widths, strict=True)}
    return {
        "type": "DP16KD",
        "parameters": parameters | {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG"},
        "port_directions": {name: "output" if name.startswith("DO") else "input" for name in pins},
        "connections": pins,
    }


def netlist(widths: tuple[int, int] = (18, 18)) -> dict[str, Any]:
    """A block RAM of which three outputs at B and, where it is 36 bits wide, two at A go to a flip-flop each."""
    used = [18, 19, 20] + ([0, 1] if 36 in widths else [])
    cells = {"memory": memory(widths)} | {f"ff{bit}": register(FIRST + bit, 500 + bit) for bit in used}
    ports = {"o": {"direction": "output", "bits": [500 + bit for bit in used]}}
    return {"modules": {"top": {"ports": ports, "cells": cells}}}


def modes(design: dict[str, Any]) -> tuple[str, str]:
    parameters = design["modules"]["top"]["cells"]["memory"]["parameters"]
    return parameters["REGMODE_A"], parameters["REGMODE_B"]


def test_the_registers_of_one_port_become_its_own() -> None:
    design = netlist()
    assert absorb_registers(design, "top") == 3
    cells = design["modules"]["top"]["cells"]
    assert list(cells) == ["memory"] and modes(design) == ("NOREG", "OUTREG")
    pins = cells["memory"]["connections"]
    assert [pins[f"DOB{i}"] for i in range(4)] == [[518], [519], [520], [FIRST + 21]]
    assert (pins["OCEA"], pins["OCEB"]) == (["0"], ["1"])


def test_a_port_of_36_bits_has_the_outputs_of_both() -> None:
    design = netlist((36, 36))
    assert absorb_registers(design, "top") == 5
    assert modes(design) == ("OUTREG", "OUTREG")
    assert design["modules"]["top"]["cells"]["memory"]["connections"]["DOA1"] == [501]


def _read_elsewhere(cells: dict[str, Any]) -> None:
    cells["lut"] = register(FIRST + 19, 900)


def _missing(cells: dict[str, Any]) -> None:
    del cells["ff19"]
    cells["lut"] = {
        "type": "LUT4",
        "parameters": {},
        "port_directions": {"A": "input"},
        "connections": {"A": [FIRST + 19]},
    }


def _changed(**changes: Any) -> Any:
    def change(cells: dict[str, Any]) -> None:
        cells["ff19"] = register(FIRST + 19, 519, **changes)

    return change


def _pin(name: str, value: Any) -> Any:
    def change(cells: dict[str, Any]) -> None:
        cells["memory"]["connections"][name] = [value]

    return change


@pytest.mark.parametrize(
    "change",
    [
        _pin("RSTB", 7),
        _pin("CEB", 7),
        _read_elsewhere,
        _missing,
        _changed(pins={"CLK": [3]}),
        _changed(set={"CLKMUX": "INV"}),
        _changed(set={"CEMUX": "CE"}, pins={"CE": [7]}),
        _changed(pins={"LSR": [7]}),
        _changed(set={"REGSET": "SET"}),
    ],
)
def test_none_moves_where_one_cannot(change: Any) -> None:
    design = netlist()
    change(design["modules"]["top"]["cells"])
    before = copy.deepcopy(design)
    assert absorb_registers(design, "top") == 0
    assert design == before


def test_an_output_that_leaves_the_module_unregistered_stays() -> None:
    design = netlist()
    design["modules"]["top"]["ports"]["raw"] = {"direction": "output", "bits": [FIRST + 18]}
    assert absorb_registers(design, "top") == 0
