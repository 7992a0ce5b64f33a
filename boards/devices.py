"""FPGA devices: how many multipliers, block RAMs, LUTs and flip-flops a design may use."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["DEVICES", "Device", "device"]


@dataclass(frozen=True)
class Device:
    """The budget of one FPGA.

    Parameters
    ----------
    name : str
        As `--device` takes it.
    dsps : int or None
        MULT18X18D; None is unbounded, here and below.
    brams : int or None
        DP16KD, 18 kbit each.
    luts : int or None
        TRELLIS_COMB: 4-input LUTs, two of which make a CCU2C carry cell.
    ffs : int or None
        TRELLIS_FF.
    place_arguments : tuple of str
        What nextpnr-ecp5 calls the device; empty for a device that cannot be placed.
    """

    name: str
    dsps: int | None = None
    brams: int | None = None
    luts: int | None = None
    ffs: int | None = None
    place_arguments: tuple[str, ...] = field(default=(), repr=False)


#: Budgets as nextpnr counts them, except the 12F: the same die as the 25F, sold with 12 k LUTs and 32 block RAMs.
DEVICES = {
    item.name: item
    for item in (
        Device("ecp5-12f", 28, 32, 12288, 12288, ("--12k",)),
        Device("ecp5-25f", 28, 56, 24288, 24288, ("--25k",)),
        Device("ecp5-45f", 72, 108, 43848, 43848, ("--45k",)),
        Device("ecp5-85f", 156, 208, 83640, 83640, ("--85k",)),
        Device("none"),
    )
}


def device(name: str) -> Device:
    """The device of that name; raises ValueError that lists the known ones."""
    if name not in DEVICES:
        raise ValueError(f"device {name!r} is not known; known are {', '.join(DEVICES)}")
    return DEVICES[name]
