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

    Raises
    ------
    ValueError
        Naming the field that is of another type, or below 0.
    """

    name: str
    dsps: int | None = None
    brams: int | None = None
    luts: int | None = None
    ffs: int | None = None
    place_arguments: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: must be text, got {self.name!r}")
        for name in ("dsps", "brams", "luts", "ffs"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{name}: must be a number of at least 0, or None, got {value!r}")
        if not isinstance(self.place_arguments, tuple) or not all(isinstance(a, str) for a in self.place_arguments):
            raise ValueError(f"place_arguments: must be a tuple of text, got {self.place_arguments!r}")


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
