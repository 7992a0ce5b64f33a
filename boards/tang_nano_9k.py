"""Tang Nano 9K, a GW1NR-9C: 27 MHz oscillator, USB serial port, six LEDs."""

from __future__ import annotations

from boards.board import Board, pins_of

__all__ = ["BOARD"]

BOARD = Board(
    name="tang-nano-9k",
    device="gw1nr-9c",
    package="QN88P",
    speed=6,
    oscillator_mhz=27.0,
    clock_mhz=54.0,
    baud=1_000_000,
    constraints=pins_of(
        "gw1nr-9c",
        {
            "clk": "52",
            "rx": "18",
            "tx": "17",
            **{f"led[{n}]": pin for n, pin in enumerate(("10", "11", "13", "14", "15", "16"))},
        },
    ),
    leds=6,
    leds_low=True,
    loader="tangnano9k",
)
