"""Carry chains that begin and end in halves of their own: the same sums and carries, and no cell for either end."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import pytest

from rtl_gen.families.carry_chains import close_chains

INPUTS = range(2, 12)
CARRY_IN = 11
INS = {"CIN": "input", **{f"{pin}{half}": "input" for half in "01" for pin in "ABCD"}}
OUTS = {"S0": "output", "S1": "output", "COUT": "output"}
ADD = 0x96AA  # yosys' table of A + B, with C inverting B


def half(draw: random.Random, init: int) -> tuple[int, list[Any]]:
    return init, [draw.choice(INPUTS), draw.choice(INPUTS), draw.choice(["0", "1", draw.choice(INPUTS)]), "1"]


def chain(draw: random.Random, cells: int, carry: Any, read: set[int], table: int | None = ADD) -> dict[str, Any]:
    """Cells of random inputs; of the sums and the last carry those outside `read` go nowhere."""
    made: dict[str, Any] = {}
    for k in range(cells):
        pins: dict[str, Any] = {"CIN": [carry if k == 0 else 300 + k - 1], "COUT": [300 + k]}
        parameters = {"INJECT1_0": "NO", "INJECT1_1": "NO"}
        for h in "01":
            init, nets = half(draw, draw.getrandbits(16) if table is None else table)
            parameters[f"INIT{h}"] = format(init, "016b")
            pins |= {f"{pin}{h}": [net] for pin, net in zip("ABCD", nets, strict=True)}
            pins[f"S{h}"] = [100 + 2 * k + int(h)]
        made[f"c{k}"] = {
            "type": "CCU2C",
            "parameters": parameters,
            "connections": pins,
            "port_directions": {**INS, **OUTS},
        }
    ports = {"i": {"direction": "input", "bits": [*INPUTS]}, "o": {"direction": "output", "bits": sorted(read)}}
    return {"modules": {"top": {"ports": ports, "cells": made}}}


def outputs(netlist: dict[str, Any], values: dict[Any, int]) -> list[int]:
    """As yosys' model of a CCU2C has it; an input that is open is both 0 and 1, which must come to the same."""
    found = [_outputs(netlist, {**values, "0": 0, "1": 1, "x": open_}) for open_ in (0, 1)]
    assert found[0] == found[1]
    return found[0]


def _outputs(netlist: dict[str, Any], nets: dict[Any, int]) -> list[int]:
    module = netlist["modules"]["top"]
    waiting = list(module["cells"].values())
    while waiting:
        cell = next(cell for cell in waiting if all(cell["connections"][port][0] in nets for port in INS))
        waiting.remove(cell)
        pins = {port: bits[0] for port, bits in cell["connections"].items()}
        carry, written = nets[pins["CIN"]], {}
        for h in "01":
            init = int(cell["parameters"][f"INIT{h}"], 2)
            inputs = [nets[pins[f"{pin}{h}"]] for pin in "ABCD"]
            p = init >> sum(bit << k for k, bit in enumerate(inputs)) & 1
            written[pins[f"S{h}"]] = p ^ carry
            carry = carry if p else init >> (inputs[0] + 2 * inputs[1]) & 1
        written[pins["COUT"]] = carry
        nets |= {net: value for net, value in written.items() if net != "x"}
    return [nets[bit] for bit in module["ports"]["o"]["bits"]]


def same(before: dict[str, Any], after: dict[str, Any], draw: random.Random) -> bool:
    drawn = [{net: draw.getrandbits(1) for net in INPUTS} for _ in range(64)]
    return all(outputs(before, values) == outputs(after, values) for values in drawn)


@pytest.mark.parametrize("carry", ["0", "1", CARRY_IN])
@pytest.mark.parametrize(("halves", "kept"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 4), (8, 5)])
def test_a_chain_begins_within_its_cells(carry: Any, halves: int, kept: int) -> None:
    """n halves and the one before them."""
    draw = random.Random(halves)
    before = chain(draw, (halves + 1) // 2, carry, {100 + k for k in range(halves)})
    after = deepcopy(before)
    gone = close_chains(after, "top")
    cells = after["modules"]["top"]["cells"]
    assert len(cells) == kept == (halves + 1) // 2 - gone
    assert [cell["connections"]["CIN"] for cell in cells.values()].count(["x"]) == 1
    assert [cell["connections"]["COUT"] for cell in cells.values()].count(["x"]) == 1
    assert same(before, after, draw)


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_a_carry_that_is_read_comes_out_as_a_sum(cells: int) -> None:
    draw = random.Random(cells)
    before = chain(draw, cells, "0", {100, 100 + 2 * cells - 1, 300 + cells - 1})
    after = deepcopy(before)
    assert close_chains(after, "top") == -1
    assert same(before, after, draw)
    assert all(cell["connections"]["COUT"] != [300 + cells - 1] for cell in after["modules"]["top"]["cells"].values())


def test_a_carry_that_is_read_within_a_chain_ends_it() -> None:
    draw = random.Random(1)
    before = chain(draw, 4, "1", {100, 107, 301})
    after = deepcopy(before)
    close_chains(after, "top")
    assert same(before, after, draw)
    starts = [cell for cell in after["modules"]["top"]["cells"].values() if cell["connections"]["CIN"] == ["x"]]
    assert len(starts) == 2


def test_random_tables_make_the_same() -> None:
    draw = random.Random(2)
    for _ in range(200):
        cells = draw.randint(1, 6)
        nets = [*range(100, 100 + 2 * cells), *range(300, 300 + cells)]
        read = set(draw.sample(nets, draw.randint(1, min(4, len(nets)))))
        before = chain(draw, cells, draw.choice(["0", "1", CARRY_IN]), read, None)
        after = deepcopy(before)
        close_chains(after, "top")
        assert same(before, after, draw)


def test_what_injects_is_left() -> None:
    before = chain(random.Random(3), 2, "0", {100})
    before["modules"]["top"]["cells"]["c1"]["parameters"]["INJECT1_0"] = "YES"
    after = deepcopy(before)
    assert close_chains(after, "top") == 0 and after == before
