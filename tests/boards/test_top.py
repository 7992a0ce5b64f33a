"""The board's top level: PLL dividers, the receiver's queue, what does not fit; boards by name and by file."""

import re

import pytest

import boards
from boards.top import BoardTop, board_verilog, pll_of, receiver_queue
from rtl_gen.manifest import InputPort, Manifest, OutputPort, Predicted, Sources


def manifest(interval, latency):
    return Manifest(
        name="small",
        version=1,
        top="qtt_top",
        sources=Sources(simulation=("design.v",), ecp5=("design.v",)),
        model="model.qtt",
        digest="0" * 64,
        input=InputPort(lanes=8, lane_bits=1, signed=False, words=100),
        output=OutputPort(value_bits=16, words=6),
        plan="plan.json",
        predicted=Predicted(interval=interval, latency=latency),
    )


@pytest.mark.parametrize("clock", [50.0, 100.0, 112.5, 125.0])
def test_pll_makes_the_clock_within_the_oscillator_range(clock):
    pll = pll_of(25.0, clock)
    assert 25.0 * pll.feedback / pll.reference == clock == pll.clock_mhz
    assert 400 <= clock * pll.output <= 800


def test_a_clock_that_no_divider_makes_names_the_nearest():
    with pytest.raises(ValueError, match="no PLL setting makes 101.7 MHz of 25 MHz; 103.125 MHz is the nearest"):
        pll_of(25.0, 101.7)


def test_the_queue_holds_what_arrives_while_the_accelerator_pauses():
    assert receiver_queue(manifest(1000, 1000), 100) == 16
    assert receiver_queue(manifest(60_000, 100_000), 100) == 256
    with pytest.raises(ValueError, match="lower the baud rate"):
        receiver_queue(manifest(10**8, 1), 100)


def test_boards_by_name_and_by_file(tmp_path):
    assert boards.load("ulx3s-85f").device == "ecp5-85f"
    with pytest.raises(ValueError, match="board 'arty' is not known; known are ulx3s-85f, or FILE.py:NAME"):
        boards.load("arty")
    own = tmp_path / "own.py"
    imports = "from dataclasses import replace\nfrom boards.ulx3s_85f import BOARD\n"
    own.write_text(imports + "MINE = replace(BOARD, name='mine')\n")
    assert boards.load(f"{own}:MINE").name == "mine"
    with pytest.raises(ValueError, match=r"own\.py: YOURS is not a boards\.Board"):
        boards.load(f"{own}:YOURS")
    with pytest.raises(ValueError, match=r"gone\.py: there is no such file"):
        boards.load(f"{tmp_path}/gone.py:MINE")


def test_every_port_has_its_pin():
    board = boards.load("ulx3s-85f")
    text = board_verilog(BoardTop(board, manifest(1000, 1000), 100.0))
    ports = re.search(r"module board_top\(([^)]*)\);", text)[1].replace(" ", "").split(",")
    pins = {name.split("[")[0] for name in re.findall(r'LOCATE COMP "([^"]+)"', board.constraints)}
    assert set(ports) == pins == {"clk", "rx", "tx", "led", "wifi_gpio0"}
