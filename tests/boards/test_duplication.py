"""Copies of drivers: whose, for whom, and that a netlist with copies computes the same."""

import copy
import random
from typing import Any

from boards.duplication import GROUP, MOST, duplicate
from rtl_gen.families.site import Copied

COPIED = Copied({"FF": "Q", "LUT": "Z"}, frozenset({"CLK", "CE"}))
CLOCK = 2


def cell(kind: str, output: str, bit: int, **inputs: int) -> dict[str, Any]:
    ways = {output: "output", **dict.fromkeys(inputs, "input")}
    joined = {output: [bit], **{port: [of] for port, of in inputs.items()}}
    return {"type": kind, "port_directions": ways, "connections": joined}


def netlist(readers: int, *, enabled: int = 0) -> dict[str, Any]:
    """A register that so many LUTs read in a line, and so many others have for an enable."""
    cells = {"wide": cell("FF", "Q", 4, CLK=CLOCK, D=3)}
    for n in range(readers):
        cells[f"lut_{n}"] = cell("LUT", "Z", 100 + n, A=4)
    for n in range(enabled):
        cells[f"ff_{n}"] = cell("FF", "Q", 10_000 + n, CLK=CLOCK, CE=4, D=3)
    ports = {"clk": {"direction": "input", "bits": [CLOCK]}, "d": {"direction": "input", "bits": [3]}}
    return {"cells": cells, "ports": ports, "netnames": {}}


def positions(module: dict[str, Any]) -> dict[str, tuple[float, float]]:
    return {name: (float(name.rpartition("_")[2]) if "_" in name else 0.0, 0.0) for name in module["cells"]}


def sources(module: dict[str, Any]) -> dict[int, tuple[str, ...]]:
    """By net: what drives it, by type and the drivers of its inputs, as text that copies share."""
    drivers = {}
    for name, of in module["cells"].items():
        for port, bits in of["connections"].items():
            if of["port_directions"][port] == "output":
                drivers[bits[0]] = name.partition("_copy_")[0]
    return {bit: (name,) for bit, name in drivers.items()}


def read_by(module: dict[str, Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """What drives each input of the cells that were there before."""
    known = sources(module)
    return {
        (name, port): known.get(bits[0], ("port",))
        for name, of in module["cells"].items()
        if "_copy_" not in name
        for port, bits in of["connections"].items()
        if of["port_directions"][port] == "input"
    }


def test_copies_for_neighbours_and_every_input_is_driven_by_the_same() -> None:
    made = netlist(MOST + 1)
    before = read_by(made)
    count = duplicate(made, COPIED, positions(made))
    assert count == 2, "three groups of at most 32, one of them of the register itself"
    assert read_by(made) == before
    nets = [made["cells"][f"lut_{n}"]["connections"]["A"][0] for n in range(MOST + 1)]
    assert len(set(nets)) == 3 and nets == sorted(nets, key=nets.index), "each has neighbours"
    assert max(nets.count(net) for net in nets) <= GROUP
    copies = [of for name, of in made["cells"].items() if "_copy_" in name]
    assert all(of["connections"]["D"] == [3] and of["connections"]["CLK"] == [CLOCK] for of in copies)


def test_few_readers_and_clocks_stay() -> None:
    made = netlist(MOST)
    before = copy.deepcopy(made)
    assert duplicate(made, COPIED, positions(made)) == 0 and made == before


def test_what_neighbours_share_stays_on_the_register_itself() -> None:
    made = netlist(MOST + 1, enabled=200)
    assert duplicate(made, COPIED, positions(made)) == 3, "the register keeps the enables alone"
    assert {made["cells"][f"ff_{n}"]["connections"]["CE"][0] for n in range(200)} == {4}
    assert all(made["cells"][f"lut_{n}"]["connections"]["A"] != [4] for n in range(MOST + 1))
    alone = netlist(0, enabled=200)
    assert duplicate(alone, COPIED, positions(alone)) == 0


def test_an_output_of_the_module_stays_on_the_register_itself() -> None:
    made = netlist(MOST + 1)
    made["ports"]["q"] = {"direction": "output", "bits": [4]}
    duplicate(made, COPIED, positions(made))
    assert made["cells"]["wide"]["connections"]["Q"] == [4]


def test_random_netlists_read_what_they_read() -> None:
    rng = random.Random(2)
    for _ in range(5):
        made = netlist(0)
        for n in range(600):
            source = rng.choice([4, 4, 5, *range(100, 100 + n)] if n else [4])
            made["cells"][f"lut_{n}"] = cell("LUT", "Z", 100 + n, A=source, B=rng.choice((4, 5)))
        made["cells"]["other_0"] = cell("LUT", "Z", 5, A=4)
        before = read_by(made)
        duplicate(made, COPIED, {name: (rng.random(), rng.random()) for name in made["cells"]})
        assert read_by(made) == before
        driven = [bits[0] for of in made["cells"].values() for port, bits in of["connections"].items() if port in "QZ"]
        assert len(driven) == len(set(driven)), "each net has one driver"
