"""Rough positions: between what is fixed, nearer to what pulls more."""

from typing import Any

import pytest

from boards.estimate import MOST_READERS, positions
from rtl_gen.families.site import Site

PLACES = {"left": Site(0, 0, "L"), "right": Site(30, 60, "R")}


def module(nets: dict[str, list[str]], cells: list[str]) -> dict[str, Any]:
    """Each net from a cell, of its name, to others."""
    found = {name: {"port_directions": {"Q": "output"}, "connections": {"Q": list[int]()}} for name in cells}
    for number, (driver, readers) in enumerate(nets.items(), 2):
        found[driver]["connections"]["Q"].append(number)
        for reader in readers:
            found[reader]["connections"][f"D{number}"] = [number]
            found[reader]["port_directions"][f"D{number}"] = "input"
    return {"cells": found}


def test_a_chain_is_spread_evenly_and_blocks_stay() -> None:
    made = module({"left": ["a"], "a": ["b"], "b": ["right"]}, ["left", "a", "b", "right"])
    found = positions(made, PLACES)
    assert found["left"] == (0, 0) and found["right"] == (30, 60)
    assert found["a"] == pytest.approx((10, 20), abs=0.1) and found["b"] == pytest.approx((20, 40), abs=0.1)


def test_a_net_to_very_many_pulls_nothing() -> None:
    many = [f"cell_{n}" for n in range(MOST_READERS)]
    made = module({"left": ["a"], "right": ["a", *many]}, ["left", "right", "a", *many])
    found = positions(made, PLACES)
    assert found["a"] == pytest.approx((0, 0), abs=0.1)
    assert found["cell_0"] == pytest.approx((15, 30), abs=0.1), "what nothing pulls is in the middle"


def test_without_a_place_all_are_alike() -> None:
    assert set(positions(module({"a": ["b"]}, ["a", "b"]), {}).values()) == {(0.0, 0.0)}
