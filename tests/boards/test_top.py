"""The board's top level: its ports, the receiver's queue, what does not fit."""

import re

import pytest

import boards
from boards.top import BoardTop, board_verilog, build_digest
from rtl_gen.manifest import InputPort, Manifest, OutputPort, Sources
from rtl_gen.prediction import Prediction


def manifest(lanes=8, lane_bits=1, words=100, value_bits=16, out=6, interval=1000):
    return Manifest(
        name="small",
        version=1,
        top="qtt_top",
        sources=Sources(simulation=("design.v",), ecp5=("design.v",)),
        model="model.qtt",
        digest="0" * 64,
        input=InputPort(lanes=lanes, lane_bits=lane_bits, signed=False, words=words),
        output=OutputPort(value_bits=value_bits, words=out),
        plan="plan.json",
        predicted=Prediction(interval=interval, latency=1000),
    )


def test_a_board_says_what_it_holds():
    board = boards.load("ulx3s-85f")
    top = BoardTop(board, manifest(words=3375, value_bits=18), 100.0, brams=30)
    identity = top.identity
    assert (identity.in_bits, identity.in_words, identity.out_bits, identity.out_words) == (8, 3375, 19, 6)
    assert identity.whole and identity.buffer_words == 3375 and identity.clock_khz == 100_000
    assert not BoardTop(board, manifest(words=3375), 100.0, brams=206).identity.whole
    digests = {build_digest(manifest(**other)) for other in ({}, {"words": 50}, {"interval": 999}, {"out": 7})}
    assert len(digests) == 4 and build_digest(manifest()) == BoardTop(board, manifest(), 100.0).identity.build


def test_every_port_has_its_pin():
    board = boards.load("ulx3s-85f")
    text = board_verilog(BoardTop(board, manifest(), 100.0))
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
            BoardTop(board, manifest(), clock)
