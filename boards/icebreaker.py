"""iCEBreaker, an iCE40UP5K: 12 MHz oscillator at the PLL's pin, FTDI serial port, a red and a green LED."""

from __future__ import annotations

from boards.board import Board, pins_of

__all__ = ["BOARD"]

BOARD = Board(
    name="icebreaker",
    device="up5k",
    package="sg48",
    speed=1,
    oscillator_mhz=12.0,
    clock_mhz=24.0,
    baud=1_000_000,
    constraints=pins_of("up5k", {"clk": "35", "rx": "6", "tx": "9", "led[0]": "37", "led[1]": "11"}),
    leds=2,
    leds_low=True,
    loader="ice40_generic",
)
