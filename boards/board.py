"""What a board is: its FPGA, its clock, and the pins of the serial link."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Board"]


@dataclass(frozen=True)
class Board:
    """An ECP5 board with an oscillator and a UART.

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
        LPF text: pins of the ports clk, rx, tx, led, and whatever else the board wants held.
    leds : int
        Width of the port `led`; at least 3.
    high : tuple of str
        Output ports to hold at 1.
    """

    name: str
    device: str
    package: str
    speed: int
    oscillator_mhz: float
    clock_mhz: float
    baud: int
    constraints: str
    leds: int = 8
    high: tuple[str, ...] = ()
