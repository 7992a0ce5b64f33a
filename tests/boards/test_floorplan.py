"""Hard blocks in the order of the datapath: which kinds, along which way, and none twice."""

import itertools
import random
from typing import Any

import pytest

from boards.floorplan import _in_order, floorplan, places
from rtl_gen.families.site import Site

#: Two rows of four multipliers, one of four memories between them.
SITES = {
    "M": tuple(Site(x, y, f"M{x}.{y}") for y in (2, 6) for x in range(4)),
    "R": tuple(Site(x, 4, f"R{x}") for x in range(4)),
}


def module(**cells: str) -> dict[str, Any]:
    """Cells by name, with `__` for each dot."""
    found = {name.replace("_dot_", "."): {"type": kind, "attributes": {}} for name, kind in cells.items()}
    return {"cells": found}


def test_a_snake_through_the_rows_in_the_order_of_units_and_numbers() -> None:
    made = module(**{f"b_dot_lane_{n}": "M" for n in (10, 9, 2, 1)}, **{f"a_dot_lane_{n}": "M" for n in range(4)})
    assert floorplan(made, SITES, ("a", "b")) == 8
    found = {name: (site.x, site.y) for name, site in places(made, SITES).items()}
    assert [found[f"a.lane_{n}"] for n in range(4)] == [(0, 2), (1, 2), (2, 2), (3, 2)]
    assert [found[f"b.lane_{n}"] for n in (1, 2, 9, 10)] == [(3, 6), (2, 6), (1, 6), (0, 6)]


def test_only_kinds_that_the_design_fills() -> None:
    made = module(**{f"a_dot_{n}": "M" for n in range(6)}, **{f"a_dot_ring_{n}": "R" for n in range(2)})
    assert floorplan(made, SITES, ("a",)) == 6
    assert all(site.name.startswith("M") for site in places(made, SITES).values())
    assert floorplan(module(a_dot_0="M"), SITES, ("a",)) == 0


def test_a_unit_of_many_cells_takes_a_longer_part_of_the_way() -> None:
    """Of 6 blocks for 8 sites the two that are free lie where the larger unit has more room than blocks."""
    cells = {f"a_dot_{n}": "M" for n in range(2)} | {f"a_dot_lut_{n}": "LUT4" for n in range(10)}
    made = module(**cells, **{f"b_dot_{n}": "M" for n in range(4)})
    floorplan(made, SITES, ("a", "b"))
    found = [(site.x, site.y) for name, site in places(made, SITES).items() if name.startswith("b.")]
    assert set(found) == {(x, 6) for x in range(4)}


def test_what_belongs_to_no_unit_comes_last_and_a_name_that_another_begins_with_is_another() -> None:
    made = module(**{f"a_dot_{n}": "M" for n in range(2)}, **{f"ab_dot_{n}": "M" for n in range(4)}, link="M", z="M")
    floorplan(made, SITES, ("ab", "a"))
    order = sorted(
        places(made, SITES).items(), key=lambda item: (item[1].y, item[1].x if item[1].y == 2 else -item[1].x)
    )
    assert [name for name, _ in order] == ["ab.0", "ab.1", "ab.2", "ab.3", "a.0", "a.1", "link", "z"]


def test_more_than_there_is_room_for() -> None:
    with pytest.raises(ValueError, match="9 blocks for 8 places"):
        floorplan(module(**{f"a_dot_{n}": "M" for n in range(9)}), SITES, ("a",))


def test_the_least_sum_of_distances_against_every_choice() -> None:
    rng = random.Random(1)
    for _ in range(50):
        there = sorted(rng.random() for _ in range(rng.randrange(1, 8)))
        wanted = sorted(rng.random() for _ in range(rng.randrange(1, len(there) + 1)))
        chosen = _in_order(wanted, there)
        assert chosen == sorted(set(chosen))

        def cost(
            indices: tuple[int, ...] | list[int], wanted: list[float] = wanted, there: list[float] = there
        ) -> float:
            return sum(abs(a - there[i]) for a, i in zip(wanted, indices, strict=True))

        assert cost(chosen) == pytest.approx(min(map(cost, itertools.combinations(range(len(there)), len(wanted)))))
