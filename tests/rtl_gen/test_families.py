"""The budgets of devices are numbers, and unknown names are told the known ones."""

import pytest

from rtl_gen.emit import PRIMITIVES
from rtl_gen.families import DEVICES, FAMILIES, UNBOUNDED, Device, Family, Resources, device, family_of
from rtl_gen.families.counts import Counting, Fit


def test_a_device_by_name():
    assert all(device(name).name == name for name in DEVICES)
    with pytest.raises(ValueError, match="device 'xc7' is not known; known are ecp5-12f, ecp5-25f"):
        device("xc7")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "name: must be text"),
        ({"dsps": -1}, "dsps: must be a number of at least 0, or None, got -1"),
        ({"brams": 2.5}, "brams: must be a number of at least 0, or None, got 2.5"),
        ({"luts": "many"}, "luts: must be a number of at least 0, or None, got 'many'"),
        ({"ffs": True}, "ffs: must be a number of at least 0, or None, got True"),
        ({"place_arguments": "--85k"}, "place_arguments: must be a tuple of text, got '--85k'"),
    ],
)
def test_a_field_that_cannot_be_is_named(fields, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Device(**{"name": "mine", **fields})


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_a_family_is_whole(family: Family) -> None:
    assert all(family_of(item) is family and DEVICES[item.name] is item for item in family.devices)
    assert None not in vars(family.devices[-1]).values(), "prices refer to the last one"
    files = (family.multiplier.verilog, family.multiplier.simulation, family.models and family.models.blocks)
    assert all(name and (PRIMITIVES / name).is_file() for name in files)
    assert {family.multiplier.cell} <= family.netlist.dsps.keys()
    assert {family.memory.cell} <= family.netlist.brams.keys()
    assert (family.placing is None) == (not any(item.place_arguments for item in family.devices))
    assert family_of(UNBOUNDED).name == "ecp5"


def test_cells_are_counted_by_their_weights() -> None:
    counting = Counting(dsps={"MULT18X18": 1, "MULT9X9": 0.5}, luts={"LUT4": 1, "RAM16SDP4": 4})
    found = counting.of({"MULT18X18": 2, "MULT9X9": 3, "LUT4": 10, "RAM16SDP4": 2, "PLL": 1})
    assert found == Resources(dsps=4, luts=18)
    assert counting.names["MULT9X9"] == "multipliers" and counting.names["LUT4"] == "LUTs"


def test_what_is_counted_as_an_ecp5_s_becomes_the_family_s() -> None:
    counted = Resources(dsps=1, brams=2, luts=100, ffs=60)
    assert Fit().of(counted) is counted
    assert Fit(luts=1.1, luts_of_ffs=0.5).of(counted) == Resources(dsps=1, brams=2, luts=140, ffs=60)
