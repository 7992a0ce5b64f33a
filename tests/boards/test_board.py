"""What a board says of itself is checked field by field; boards by name and by file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import boards

BOARD = boards.load("ulx3s-85f")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "must not be empty"),
        ("name", "../x", "must be a plain name of a folder"),
        ("name", 3, "must be str, got 3"),
        ("device", "xc7", "device 'xc7' is not known; known are ecp5-12f"),
        ("device", "none", "'none' cannot be placed: name one of ecp5-12f, ecp5-25f"),
        ("package", "", "must not be empty"),
        ("package", "CABGA382", "must be one of CABGA256, CSFBGA285, CABGA381, .*, got 'CABGA382'"),
        ("speed", 9, "must be one of 6, 7, 8, got 9"),
        ("speed", True, "must be int, got True"),
        ("oscillator_mhz", 0.0, "must be above 0 and at most 400, got 0"),
        ("oscillator_mhz", -25.0, "must be above 0 and at most 400, got -25"),
        ("oscillator_mhz", float("nan"), "must be above 0 and at most 400, got nan"),
        ("oscillator_mhz", "25", "must be float, got '25'"),
        ("clock_mhz", float("inf"), "must be above 0 and at most 1000, got inf"),
        ("clock_mhz", 101.7, "no PLL setting makes 101.7 MHz of 25 MHz; 103.125 MHz is the nearest"),
        ("baud", 0, "must be above 0 and at most 1000000000, got 0"),
        ("baud", -1, "must be above 0"),
        ("baud", 1e6, "must be int, got 1000000.0"),
        ("baud", 11_500_000, "11500000 baud is not within 2 % of a division of 100 MHz"),
        ("baud", 50_000_000, "a bit of 2 clock cycles is too short for the link; 8 are the least"),
        ("leds", -3, "must be 1 to 64, got -3"),
        ("leds", 0, "must be 1 to 64, got 0"),
        ("leds", 10**12, "must be 1 to 64, got 1000000000000"),
        ("constraints", "", "must not be empty"),
        ("constraints", "board.lpf", r"no pin for port clk: LOCATE COMP \"clk\" SITE"),
        ("constraints", BOARD.constraints.replace("led[5]", "led[9]"), r"no pin for port led\[5\]"),
        ("constraints", Path("board.lpf"), "must be str, got PosixPath"),
        ("high", ("clk",), "must be names of ports of their own, got 'clk'"),
        ("high", ("a b",), "must be names of ports of their own, got 'a b'"),
        ("high", ["wifi_gpio0"], "must be tuple"),
    ],
)
def test_a_field_that_cannot_be_is_named(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: {message}"):
        replace(BOARD, **{field: value})  # type: ignore[arg-type]


def test_every_port_needs_a_pin() -> None:
    with pytest.raises(ValueError, match=r"^constraints: no pin for port wifi_gpio1: LOCATE"):
        replace(BOARD, high=("wifi_gpio1",))
    with pytest.raises(ValueError, match=r"^constraints: no pin for port led\[8\]: LOCATE"):
        replace(BOARD, leds=9)


def test_boards_by_name_and_by_file(tmp_path: Path) -> None:
    assert boards.load("ulx3s-85f").device == "ecp5-85f"
    with pytest.raises(ValueError, match="board 'arty' is not known; known are ulx3s-85f, .*, or FILE.py:NAME"):
        boards.load("arty")
    own = tmp_path / "own.py"
    imports = "from dataclasses import replace\nfrom boards.ulx3s_85f import BOARD\n"
    own.write_text(imports + "MINE = replace(BOARD, name='mine', leds=8)\n")
    assert boards.load(f"{own}:MINE").name == "mine"
    with pytest.raises(ValueError, match=r"own\.py: has no board YOURS"):
        boards.load(f"{own}:YOURS")
    with pytest.raises(ValueError, match=r"gone\.py: no such file"):
        boards.load(f"{tmp_path}/gone.py:MINE")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MINE = replace(BOARD, leds=-3, baud=0)", "ValueError: baud: must be above 0"),
        ("MINE = replace(BOARD, wires=3)", "TypeError: .*wires"),
        ("MINE = Board(", "SyntaxError: .*never closed"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines$"),
        ("raise KeyError", "KeyError: without a message$"),
        ("import sys; sys.exit(0)", "SystemExit: "),
        ("from pathlib import Path; Path('none.lpf').read_text()", "FileNotFoundError: .*none.lpf"),
    ],
)
def test_a_mistake_in_a_board_s_file_is_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    own = tmp_path / "own.py"
    own.write_text(f"from dataclasses import replace\nfrom boards.ulx3s_85f import BOARD\n{text}\n")
    with pytest.raises(ValueError, match=rf"own\.py:3: {message}") as refused:
        boards.load(f"{own}:MINE")
    assert len(str(refused.value).splitlines()) == 1


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"^clock_mhz: is missing; what the design runs at, such as 100$"):
        boards.Board(
            name="mine",
            device="ecp5-85f",
            package="CABGA381",
            speed=6,
            oscillator_mhz=25.0,
            baud=1_000_000,
            constraints=BOARD.constraints,
        )
