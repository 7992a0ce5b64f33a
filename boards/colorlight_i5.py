"""Colorlight i5 v7.0, an LFE5U-25F, on its extension board, whose debugger has the serial port: 25 MHz, one LED."""

from __future__ import annotations

from boards.board import Board, pins_of

__all__ = ["BOARD"]

BOARD = Board(
    name="colorlight-i5",
    device="ecp5-25f",
    package="CABGA381",
    speed=6,
    oscillator_mhz=25.0,
    clock_mhz=100.0,
    baud=1_000_000,
    constraints=pins_of("ecp5-25f", {"clk": "P3", "rx": "H18", "tx": "J17", "led[0]": "U16"})
    + 'FREQUENCY PORT "clk" 25 MHZ;\n',
    leds=1,
    leds_low=True,
    loader="colorlight-i5",
)
