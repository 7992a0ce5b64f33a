"""Tang Nano 20K, a GW2AR-18C: 27 MHz oscillator, USB serial port, six LEDs."""

from __future__ import annotations

from boards.board import Board, pins_of

__all__ = ["BOARD"]

BOARD = Board(
    name="tang-nano-20k",
    device="gw2ar-18c",
    package="QN88",
    speed=8,
    oscillator_mhz=27.0,
    clock_mhz=81.0,
    baud=1_000_000,
    constraints=pins_of(
        "gw2ar-18c",
        {"clk": "4", "rx": "70", "tx": "69", **{f"led[{n}]": str(15 + n) for n in range(6)}},
    ),
    leds=6,
    leds_low=True,
    loader="tangnano20k",
)
