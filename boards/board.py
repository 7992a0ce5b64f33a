"""What a board is: its FPGA, its clock, and the pins of the serial link."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from boards.clock import divisor_of
from qtt_hw.errors import short
from rtl_gen.families import DEVICES, Family, device, family_of
from rtl_gen.families.family import Placing
from rtl_gen.families.pll import Pll

__all__ = ["Board", "pins_of"]

#: LEDs that the top level drives, and that a board may have.
LEDS = (1, 64)
#: Ports that every board has, beside `led` and those that are held.
PORTS = ("clk", "rx", "tx")


#: In place of a field that must be given, and what it is, so that one that lacks is said like any other fault.
_NEEDED: Any = object()
_WANTED = {
    "name": "what its folder of results is called",
    "device": "such as ecp5-85f",
    "package": "such as CABGA381",
    "speed": "its speed grade, such as 6",
    "oscillator_mhz": "of the oscillator on the board, such as 25",
    "clock_mhz": "what the design runs at, such as 100",
    "baud": "bits a second of the link, such as 1000000",
    "constraints": "the pins, as the placer's file has them",
}


@dataclass(frozen=True)
class Board:
    """A board with an oscillator and a UART.

    Parameters
    ----------
    name : str
    device : str
        Of `rtl_gen.families`.
    package : str
    speed : int
        Speed grade.
    oscillator_mhz : float
    clock_mhz : float
        What the design runs at unless asked otherwise; a PLL makes it.
    baud : int
        Bits a second of the link.
    constraints : str
        Pins of the ports clk, rx, tx, led, and whatever else the board wants held, as the placer's file has them: LPF
        of an ECP5, PCF of an iCE40, CST of a Gowin.
    leds : int
        Width of the port `led`; at least 1. The first shows that the clock is stable, the second a broken frame, the
        third traffic.
    high : tuple of str
        Output ports to hold at 1.
    leds_low : bool
        LEDs shine at 0.
    pll_pin : bool
        The oscillator is at the pin that leads to the PLL, where a PLL has a pin of its own.
    loader : str
        What openFPGALoader calls it; empty where it knows no such board.

    Raises
    ------
    ValueError
        Naming the field that is of another type or out of range: a device that cannot be placed, a clock that no PLL
        setting makes of the oscillator's, a baud rate that is no division of it, a port without a pin.
    """

    name: str = _NEEDED
    device: str = _NEEDED
    package: str = _NEEDED
    speed: int = _NEEDED
    oscillator_mhz: float = _NEEDED
    clock_mhz: float = _NEEDED
    baud: int = _NEEDED
    constraints: str = _NEEDED
    leds: int = 8
    high: tuple[str, ...] = ()
    leds_low: bool = False
    pll_pin: bool = True
    loader: str = ""

    def __post_init__(self) -> None:
        for name, wanted in _WANTED.items():
            if getattr(self, name) is _NEEDED:
                raise ValueError(f"{name}: is missing; {wanted}")
        self._check_types()
        for name in ("name", "package", "constraints"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name}: must not be empty")
        if set(self.name) & set("/\\") or self.name.startswith(".") or not self.name.isprintable():
            raise ValueError(f"name: must be a plain name of a folder, got {short(repr(self.name))}")
        try:
            chosen = device(self.device)
        except ValueError as error:
            raise ValueError(f"device: {error}") from None
        if not chosen.place_arguments:
            raise ValueError(f"device: {self.device!r} cannot be placed: name one of {_placeable()}")
        placing = self.placing
        for name, values in (("package", placing.packages), ("speed", placing.speeds)):
            if getattr(self, name) not in values:
                known = ", ".join(map(str, values))
                raise ValueError(f"{name}: must be one of {known}, got {short(repr(getattr(self, name)))}")
        self._check_clocks()
        self._check_pins()

    @property
    def family(self) -> Family:
        """Of its FPGA."""
        return family_of(device(self.device))

    @property
    def placing(self) -> Placing:
        """How its FPGA is placed."""
        placing = self.family.placing
        assert placing is not None, "its device has the placer's arguments"
        return placing

    @property
    def pll(self) -> Pll:
        """What makes the clock of the oscillator's."""
        return self.placing.pll if self.pll_pin or self.placing.inner_pll is None else self.placing.inner_pll

    def _check_types(self) -> None:
        kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "high":
                right = isinstance(value, tuple) and all(isinstance(port, str) for port in value)
            elif field.type == "bool":
                right = isinstance(value, bool)
            else:
                right = isinstance(value, kinds[str(field.type)]) and not isinstance(value, bool)
            if not right:
                raise ValueError(f"{field.name}: must be {field.type}, got {short(repr(value))}")

    def _check_clocks(self) -> None:
        for name, most in (("oscillator_mhz", 400), ("clock_mhz", 1000), ("baud", 1_000_000_000)):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 < value <= most):
                raise ValueError(f"{name}: must be above 0 and at most {most}, got {short(value)}")
        for name, check in (
            ("clock_mhz", lambda: self.pll.setting(self.oscillator_mhz, self.clock_mhz)),
            ("baud", lambda: divisor_of(self.clock_mhz, self.baud)),
        ):
            try:
                check()
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def _check_pins(self) -> None:
        if not LEDS[0] <= self.leds <= LEDS[1]:
            raise ValueError(f"leds: must be {LEDS[0]} to {LEDS[1]}, got {short(self.leds)}")
        for port in self.high:
            if (
                not re.fullmatch(r"[A-Za-z_]\w*", port, re.ASCII)
                or port in (*PORTS, "led")
                or self.high.count(port) > 1
            ):
                raise ValueError(f"high: must be names of ports of their own, got {short(repr(port))}")
        form = self.placing.constraints
        pins = form.ports(self.constraints)
        for port in (*PORTS, *(f"led[{index}]" for index in range(self.leds)), *self.high):
            if port not in pins:
                raise ValueError(f"constraints: no pin for port {port}: {form.line.format(port=port, pin='...')}")


def pins_of(name: str, pins: Mapping[str, str]) -> str:
    """The constraints of ports at pins of 3.3 V, as the placer of the device of that name reads them."""
    placing = family_of(device(name)).placing
    if placing is None:
        raise ValueError(f"device {name!r} cannot be placed: name one of {_placeable()}")
    return placing.constraints.of(pins)


def _placeable() -> str:
    return ", ".join(name for name, item in DEVICES.items() if item.place_arguments)
