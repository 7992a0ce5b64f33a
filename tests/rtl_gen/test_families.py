"""The budgets of devices are numbers, and unknown names are told the known ones."""

import pytest

from rtl_gen.families import DEVICES, Device, device


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
