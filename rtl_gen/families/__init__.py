"""The FPGA families, each in a module of its own, and their devices by name."""

from __future__ import annotations

from qtt_hw.near import unknown
from rtl_gen.families.block_contents import BlockContents
from rtl_gen.families.ecp5 import ECP5
from rtl_gen.families.family import Family
from rtl_gen.families.generic import GENERIC
from rtl_gen.families.gowin import GOWIN
from rtl_gen.families.ice40 import ICE40
from rtl_gen.families.resources import Device, Resources

__all__ = [
    "DEVICES",
    "ECP5",
    "FAMILIES",
    "GENERIC",
    "GOWIN",
    "ICE40",
    "UNBOUNDED",
    "Device",
    "Family",
    "Resources",
    "contents_in",
    "device",
    "family_named",
    "family_of",
]

#: By name.
FAMILIES = {family.name: family for family in (ECP5, ICE40, GOWIN, GENERIC)}
#: A device without bounds; it is planned as one of the first family.
UNBOUNDED = Device("none")
#: By name, as `--device` takes them.
DEVICES = {item.name: item for family in FAMILIES.values() for item in family.devices} | {UNBOUNDED.name: UNBOUNDED}


def device(name: str) -> Device:
    """The device of that name; raises ValueError that lists the known ones."""
    if name not in DEVICES:
        raise unknown("device", name, DEVICES)
    return DEVICES[name]


def family_named(name: str) -> Family:
    """The family of that name; raises ValueError that lists the known ones."""
    if name not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[name]


def family_of(device: Device) -> Family:
    """The family that a device belongs to; an unbounded one, or one of a user's own, is of the first."""
    return next((family for family in FAMILIES.values() if device in family.devices), ECP5)


def contents_in(family: Family) -> BlockContents:
    """How the family's block RAMs hold their contents; raises ValueError where a bitstream's cannot be exchanged."""
    if family.memory.contents is None:
        known = " and ".join(other.title for other in FAMILIES.values() if other.memory.contents is not None)
        raise ValueError(f"weights are exchanged in bitstreams for {known} alone, not for {family.title}")
    return family.memory.contents
