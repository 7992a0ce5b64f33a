"""ULX3S with an LFE5U-85F: 25 MHz oscillator, FTDI serial port, eight LEDs. Pins from the board's own documentation."""

from __future__ import annotations

from boards.board import Board, pins_of

__all__ = ["BOARD"]

BOARD = Board(
    name="ulx3s-85f",
    device="ecp5-85f",
    package="CABGA381",
    speed=6,
    oscillator_mhz=25.0,
    clock_mhz=100.0,
    baud=1_000_000,
    constraints=pins_of(
        "ecp5-85f",
        {
            "clk": "G2",
            "tx": "L4",  # to the FTDI's receiver
            "rx": "M1",  # from the FTDI's transmitter
            "wifi_gpio0": "L2",  # low would let the ESP32 reload the FPGA
            **{f"led[{n}]": pin for n, pin in enumerate("B2 C2 C1 D2 D1 E2 E1 H3".split())},
        },
    )
    + 'FREQUENCY PORT "clk" 25 MHZ;\n',
    high=("wifi_gpio0",),
    loader="ulx3s",
)
