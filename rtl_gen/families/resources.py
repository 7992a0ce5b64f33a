"""Amounts of what an FPGA has: of a netlist, and of a device."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Device", "Resources"]


@dataclass(frozen=True)
class Resources:
    """What a netlist takes of an FPGA.

    Attributes
    ----------
    dsps, brams : int
        Multipliers and block RAMs.
    luts : int
        LUTs, and what is made of them: a carry cell of the ECP5 (CCU2C) is two, a LUT RAM (TRELLIS_DPR16X4) four, as
        nextpnr counts both in TRELLIS_COMB. What the placer adds is not counted: cells that lead into and out of carry
        chains, and TRELLIS_RAMW, one to each LUT RAM, which it counts apart.
    ffs : int
        Flip-flops of the fabric; registers of multipliers and block RAMs are none.
    """

    dsps: int = 0
    brams: int = 0
    luts: int = 0
    ffs: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.dsps + other.dsps, self.brams + other.brams, self.luts + other.luts, self.ffs + other.ffs)


@dataclass(frozen=True)
class Device:
    """The budget of one FPGA.

    Parameters
    ----------
    name : str
        As `--device` takes it.
    dsps : int or None
        Multipliers; None is unbounded, here and below.
    brams : int or None
        Block RAMs.
    luts : int or None
    ffs : int or None
        Flip-flops.
    place_arguments : tuple of str
        What the family's placer calls the device; empty for a device that cannot be placed. {package} and {speed} stand
        for the board's.
    part : str
        What the packer calls it, where it must know.

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
    part: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: must be text, got {self.name!r}")
        for name in ("dsps", "brams", "luts", "ffs"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{name}: must be a number of at least 0, or None, got {value!r}")
        if not isinstance(self.place_arguments, tuple) or not all(isinstance(a, str) for a in self.place_arguments):
            raise ValueError(f"place_arguments: must be a tuple of text, got {self.place_arguments!r}")
