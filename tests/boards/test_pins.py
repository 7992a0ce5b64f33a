"""Pins and clocks of boards against amaranth-boards, where it has the board."""

from __future__ import annotations

import re
from typing import Any

import pytest
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.tang_nano_9k import TangNano9kPlatform
from amaranth_boards.ulx3s import ULX3S_12F_Platform, ULX3S_25F_Platform, ULX3S_45F_Platform, ULX3S_85F_Platform
from amaranth_boards.upduino_v3 import UpduinoV3Platform

import boards

PLATFORMS = {
    "ulx3s-85f": ULX3S_85F_Platform,
    "ulx3s-45f": ULX3S_45F_Platform,
    "ulx3s-25f": ULX3S_25F_Platform,
    "ulx3s-12f": ULX3S_12F_Platform,
    "orangecrab": OrangeCrabR0_2_25FPlatform,
    "icebreaker": ICEBreakerPlatform,
    "upduino3": UpduinoV3Platform,
    "tang-nano-9k": TangNano9kPlatform,
}


def pins(name: str) -> dict[str, str]:
    """A board's pins by port."""
    text = boards.load(name).constraints
    lines = re.findall(r'(?:LOCATE COMP|IO_LOC|set_io) "?([^"\s]+)"? (?:SITE )?"?(\w+)"?', text)
    return dict(lines)


def resources(platform: Any) -> dict[str, Any]:
    """A platform's resources by name and number."""
    return {f"{each.name}{each.number}": each for each in platform.resources}


@pytest.mark.parametrize("name", PLATFORMS)
def test_clock_line_and_leds(name: str) -> None:
    mine, board, platform = pins(name), boards.load(name), PLATFORMS[name]
    theirs = resources(platform)
    clock = theirs.get(f"{platform.default_clk}0") or theirs["clk120"]
    assert mine["clk"] == clock.ios[0].names[0]
    assert clock.clock.period is not None
    assert board.oscillator_mhz == pytest.approx(clock.clock.frequency / 1e6)
    if "uart0" in theirs:
        # a platform's rx is what the FPGA receives
        line = {part.name: part.ios[0].names[0] for part in theirs["uart0"].ios}
        assert (mine["rx"], mine["tx"]) == (line["rx"], line["tx"])
    else:
        # an adapter's pins are at the header
        header = {pin for connector in platform.connectors for pin in connector.mapping.values()}
        assert {mine["rx"], mine["tx"]} <= header
    plain = {resource.ios[0].names[0] for key, resource in theirs.items() if re.fullmatch(r"led\d+", key)}
    if plain:
        assert {mine[f"led[{n}]"] for n in range(board.leds)} == plain


def test_every_board_has_its_pins_and_can_be_made() -> None:
    for name in boards.BOARDS:
        board = boards.load(name)
        assert board.name == name
        assert pins(name).keys() >= {"clk", "rx", "tx", *(f"led[{n}]" for n in range(board.leds))}
        assert board.pll.setting(board.oscillator_mhz, board.clock_mhz).clock_mhz == board.clock_mhz
