"""LUTs that move into carry cells: the same sums and carries for all inputs, fewer cells."""

from __future__ import annotations

import random
from copy import deepcopy
from itertools import product
from typing import Any

import pytest

from rtl_gen.families.carry_inputs import absorb_luts

INPUTS = list(range(2, 9))  # nets 2 to 7, and 8 the carry that comes in
INS = {"CIN": "input", **{f"{pin}{half}": "input" for half in "01" for pin in "ABCD"}}
OUTS = {"S0": "output", "S1": "output", "COUT": "output"}


def lut(init: int, pins: list[Any], out: int) -> dict[str, Any]:
    connections = {**{pin: [net] for pin, net in zip("ABCD", pins, strict=True)}, "Z": [out]}
    directions = {**dict.fromkeys("ABCD", "input"), "Z": "output"}
    parameters = {"INIT": format(init, "016b")}
    return {"type": "LUT4", "parameters": parameters, "connections": connections, "port_directions": directions}


def carry(first: list[Any], second: list[Any], inits: tuple[int, int] = (0x96AA, 0x96AA)) -> dict[str, Any]:
    pins = {f"{p}{h}": [net] for h, nets in (("0", first), ("1", second)) for p, net in zip("ABCD", nets, strict=True)}
    connections = {"CIN": [8], **pins, "S0": [20], "S1": [21], "COUT": [22]}
    parameters = {"INIT0": format(inits[0], "016b"), "INIT1": format(inits[1], "016b")}
    parameters |= {"INJECT1_0": "NO", "INJECT1_1": "NO"}
    directions = {**INS, **OUTS}
    return {"type": "CCU2C", "parameters": parameters, "connections": connections, "port_directions": directions}


def netlist_of(cells: dict[str, Any], also_out: list[int]) -> dict[str, Any]:
    ports = {"i": {"direction": "input", "bits": INPUTS}, "o": {"direction": "output", "bits": [20, 21, 22, *also_out]}}
    return {"modules": {"top": {"ports": ports, "cells": cells}}}


def outputs(netlist: dict[str, Any], values: dict[Any, int]) -> list[int]:
    """As yosys' models of LUT4 and CCU2C have it."""
    module, nets = netlist["modules"]["top"], {**values, "0": 0, "1": 1}
    cells = sorted(module["cells"].values(), key=lambda cell: cell["type"], reverse=True)  # LUT4 first

    def table(init: str, pins: list[Any]) -> int:
        return int(init, 2) >> sum(nets[pin] << k for k, pin in enumerate(pins)) & 1

    for cell in cells:
        pins = {port: bits[0] for port, bits in cell["connections"].items()}
        if cell["type"] == "LUT4":
            nets[pins["Z"]] = table(cell["parameters"]["INIT"], [pins[p] for p in "ABCD"])
            continue
        chain = nets[pins["CIN"]]
        for half in "01":
            init = cell["parameters"][f"INIT{half}"]
            p = table(init, [pins[f"{k}{half}"] for k in "ABCD"])
            g = table(init[-4:], [pins[f"A{half}"], pins[f"B{half}"]])
            nets[pins[f"S{half}"]] = p ^ chain
            chain = chain if p else g
        nets[pins["COUT"]] = chain
    return [nets[bit] for bit in module["ports"]["o"]["bits"]]


def same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    every = (dict(zip(INPUTS, values, strict=True)) for values in product((0, 1), repeat=len(INPUTS)))
    return all(outputs(before, values) == outputs(after, values) for values in every)


AND, AND_NOT, MUX = 0x8888, 0x2222, 0xCACA  # of A and B; of A and not B; B where C is 1, else A


@pytest.mark.parametrize("inverted", ["0", "1"])
@pytest.mark.parametrize(
    ("one", "other", "moved"),
    [
        ((AND, [2, 3, "0", "0"]), (AND, [4, 5, "0", "0"]), 2),  # two copies of a product
        ((AND, [2, 3, "0", "0"]), (AND, [2, 5, "0", "0"]), 2),  # which share a net
        (None, (AND_NOT, [4, 5, "0", "0"]), 1),  # a cleared accumulator
        ((0x6996, [2, 3, 4, 5]), (AND, [6, 7, "0", "0"]), 1),  # too many inputs for both
    ],
)
def test_what_yosys_leaves_in_front_of_adders_is_moved(one: Any, other: Any, moved: int, inverted: str) -> None:
    cells = {"carry": carry([10 if one else 2, 11, inverted, "1"], ["0", "0", "0", "1"])}
    for number, made in ((10, one), (11, other)):
        if made:
            cells[f"lut{number}"] = lut(made[0], list(made[1]), number)
    before = netlist_of(cells, [])
    after = deepcopy(before)
    assert absorb_luts(after, "top") == moved
    assert len(after["modules"]["top"]["cells"]) == len(cells) - moved
    assert same(before, after)


def test_a_choice_of_two_is_moved_where_it_is_not_inverted() -> None:
    """It is 0 where both are, whichever is chosen."""
    for inverted, moved in (("0", 1), ("1", 0)):
        cells = {"carry": carry([2, 11, inverted, "1"], ["0", "0", "0", "1"]), "lut": lut(MUX, [4, 5, 6, "0"], 11)}
        before = netlist_of(cells, [])
        after = deepcopy(before)
        assert absorb_luts(after, "top") == moved and same(before, after)


def test_what_others_read_stays() -> None:
    cells = {"carry": carry([10, 4, "0", "1"], ["0", "0", "0", "1"]), "lut": lut(AND, [2, 3, "0", "0"], 10)}
    before = netlist_of(cells, [10])
    after = deepcopy(before)
    assert absorb_luts(after, "top") == 0 and after == before


def test_random_cells_make_the_same_of_all_inputs() -> None:
    """Of tables and connections as they come: most fit in part, some not at all."""
    draw, moved = random.Random(1), 0
    for _ in range(400):
        cells, pins = {}, []
        for number in range(4):
            count = draw.randint(1, 4)
            nets = [*(draw.choice(INPUTS[:-1]) for _ in range(count)), *["0"] * (4 - count)]
            cells[f"lut{number}"] = lut(draw.getrandbits(16), nets, 10 + number)
            pins.append(draw.choice([10 + number, 10 + number, draw.choice(INPUTS[:-1]), "0"]))
        halves = [[*pins[:2], draw.choice("01"), "1"], [*pins[2:], draw.choice("01"), "1"]]
        inits = tuple(draw.choice([0x96AA, 0x96AA, draw.getrandbits(16)]) for _ in range(2))
        cells["carry"] = carry(*halves, inits)  # type: ignore[arg-type]
        before = netlist_of(cells, draw.choice([[], [], [10, 13]]))
        after = deepcopy(before)
        moved += absorb_luts(after, "top")
        assert same(before, after)
    assert moved > 200
