"""UPduino 3, an iCE40UP5K: 12 MHz oscillator at pin 20, by a jumper to be soldered, and a serial line at the header.

Its USB socket programs the flash and is no serial port, so the line wants an adapter: pin 23 is `rx`, 25 is `tx`.
The LED of three colours is at pins that only sink current; `led` is at header pins 26, 27 and 32.
"""

from __future__ import annotations

from boards.board import Board, pins_of

__all__ = ["BOARD"]

BOARD = Board(
    name="upduino3",
    device="up5k",
    package="sg48",
    speed=1,
    oscillator_mhz=12.0,
    clock_mhz=24.0,
    baud=1_000_000,
    constraints=pins_of("up5k", {"clk": "20", "rx": "23", "tx": "25", "led[0]": "26", "led[1]": "27", "led[2]": "32"}),
    leds=3,
    pll_pin=False,
    loader="ice40_generic",
)
