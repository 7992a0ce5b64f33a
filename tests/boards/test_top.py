"""The board's top level: its ports, the receiver's queue, what does not fit."""

import re

import pytest

import boards
from boards.top import BoardTop, board_verilog, receiver_queue
from rtl_gen.manifest import InputPort, Manifest, OutputPort, Sources
from rtl_gen.prediction import Prediction


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
        predicted=Prediction(interval=interval, latency=latency),
    )


def test_the_queue_holds_what_arrives_while_the_accelerator_pauses():
    assert receiver_queue(manifest(1000, 1000), 100) == 16
    assert receiver_queue(manifest(60_000, 100_000), 100) == 256
    with pytest.raises(ValueError, match="lower the baud rate"):
        receiver_queue(manifest(10**8, 1), 100)


def test_every_port_has_its_pin():
    board = boards.load("ulx3s-85f")
    text = board_verilog(BoardTop(board, manifest(1000, 1000), 100.0))
    ports = re.search(r"module board_top\(([^)]*)\);", text)[1].replace(" ", "").split(",")
    pins = {name.split("[")[0] for name in re.findall(r'LOCATE COMP "([^"]+)"', board.constraints)}
    assert set(ports) == pins == {"clk", "rx", "tx", "led", "wifi_gpio0"}


def test_a_clock_or_a_link_that_cannot_be_names_the_board():
    board = boards.load("ulx3s-85f")
    for clock, message in (
        (101.7, "no PLL setting makes 101.7 MHz of 25 MHz; 103.125 MHz is the nearest"),
        (float("nan"), "no PLL setting makes nan MHz"),
        (float("inf"), "no PLL setting makes inf MHz"),
        (0.0, "no PLL setting makes 0 MHz"),
        (5.0, "a bit of 5 clock cycles is too short for the link; 8 are the least"),
    ):
        with pytest.raises(ValueError, match=f"^ulx3s-85f: {message}"):
            BoardTop(board, manifest(1000, 1000), clock)
