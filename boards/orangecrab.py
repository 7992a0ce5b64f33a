"""OrangeCrab r0.2 with an LFE5U-25F: 48 MHz oscillator, one LED of three colours, serial line at the header's 0 and 1.

Its USB socket leads to the FPGA itself, so the line wants an adapter: header pin 0 is `rx`, pin 1 is `tx`.
"""

from __future__ import annotations

from boards.board import Board, pins_of

__all__ = ["BOARD"]

BOARD = Board(
    name="orangecrab",
    device="ecp5-25f",
    package="CSFBGA285",
    speed=8,
    oscillator_mhz=48.0,
    clock_mhz=96.0,
    baud=1_000_000,
    constraints=pins_of(
        "ecp5-25f",
        {"clk": "A9", "rx": "N17", "tx": "M18", **{f"led[{n}]": pin for n, pin in enumerate(("M3", "K4", "J3"))}},
    )
    + 'FREQUENCY PORT "clk" 48 MHZ;\n',
    leds=3,
    leds_low=True,
    loader="orangeCrab",
)
