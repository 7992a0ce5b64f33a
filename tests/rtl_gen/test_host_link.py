"""The link to the host as plans count it: its buffer to a block, all of it to a tenth."""

from __future__ import annotations

from pathlib import Path

import pytest
from amaranth.back import verilog

import boards
from boards.synthesis import synthesise
from boards.top import BoardTop
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge
from rtl_gen.argmax import argmax_resources
from rtl_gen.families import ECP5, ICE40, UNBOUNDED, Device, Family, Resources, device
from rtl_gen.host_link import answer_resources, buffer_resources, buffered_words
from tests.boards.test_top import manifest

LARGE = device("ecp5-85f")


def test_a_sample_is_held_whole_where_block_ram_is_left_for_it() -> None:
    assert buffered_words(8, 3375, LARGE, 36) == 3375
    assert buffer_resources(8, 3375, 3375, LARGE).brams == 2
    assert buffered_words(8, 3375, LARGE, 207) == 512 * 4, "one block RAM is left"
    assert buffered_words(8, 3375, LARGE, 208) == 64 and buffer_resources(8, 3375, 64, LARGE).luts > 0
    assert buffered_words(24, 49152, LARGE, 0) == 512, "seventy block RAMs are more than an eighth"
    assert buffered_words(24, 49152, UNBOUNDED, 0) == 49152
    assert buffered_words(8, 60, Device("toy", brams=0), 0) == 60


def test_a_sample_in_memories_of_one_port_takes_no_block_ram() -> None:
    small = device("up5k")
    for bits, words in ((64, 16384), (4, 20), (17, 300)):
        assert buffered_words(bits, words, small, 30) == words
        assert buffer_resources(bits, words, words, small).brams == 0
    assert buffered_words(65, 16384, small, 20) == 256 and buffer_resources(65, 16384, 256, small).brams == 5
    assert buffered_words(8, 16385, small, 20) == 512
    assert buffered_words(65, 100, small, 20) == 100, "whole, for the blocks that less of it takes too"


def link_cells(top: BoardTop, family: Family, folder: Path) -> Resources:
    """What yosys makes of a board's link."""
    text = verilog.convert(top.link, name="link", platform=object(), emit_src=False, strip_internal_attrs=True)
    (folder / "link.v").write_text(text)
    return family.counted(synthesise([folder / "link.v"], "link", folder, family))


@pytest.mark.parametrize(
    ("lanes", "lane_bits", "words", "value_bits", "out"),
    [
        (8, 1, 3375, 16, 11),
        pytest.param(3, 8, 49152, 16, 11, marks=pytest.mark.long),
        pytest.param(1, 8, 784, 16, 41, marks=pytest.mark.long),
        pytest.param(1, 8, 784, 16, 101, marks=pytest.mark.long),
    ],
)
def test_the_link_takes_what_plans_say(
    lanes: int, lane_bits: int, words: int, value_bits: int, out: int, tmp_path: Path
) -> None:
    top = BoardTop(boards.load("ulx3s-85f"), manifest(lanes, lane_bits, words, value_bits, out), 100.0)
    found = link_cells(top, ECP5, tmp_path)
    found += argmax_resources(Edge((1, 1, 1, out - 1), Format(value_bits, True, 0)))
    buffer = buffer_resources(lanes * lane_bits, top.identity.in_words, top.identity.buffer_words, LARGE)
    planned = ECP5.overhead + buffer + answer_resources(value_bits + 1, out, LARGE)
    assert found.brams == planned.brams
    assert found.luts == pytest.approx(planned.luts, rel=0.1)
    assert found.ffs == pytest.approx(planned.ffs, rel=0.1)


def test_a_long_answer_takes_blocks_where_there_is_no_lut_ram(tmp_path: Path) -> None:
    board = boards.load("icebreaker")
    top = BoardTop(board, manifest(8, 1, 3375, 16, 41), board.clock_mhz)
    answer = answer_resources(17, 41, device("up5k"))
    assert answer.brams == 2 and answer_resources(17, 11, device("up5k")).brams == 0
    assert link_cells(top, ICE40, tmp_path).brams == (ICE40.overhead + answer).brams
