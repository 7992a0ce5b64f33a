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
from rtl_gen.families import ECP5, ICE40, UNBOUNDED, Device, Family, Resources, device, family_of
from rtl_gen.host_link import beside_buffer, buffer_resources, buffered_words
from tests.boards.test_top import manifest

LARGE, SMALL = device("ecp5-85f"), device("up5k")


def held(bits: int, words: int, target: Device, used: int) -> int:
    """Words that the link of a device holds."""
    return buffered_words(bits, words, family_of(target).memory, target.brams, used)


def test_a_sample_is_held_whole_where_block_ram_is_left_for_it() -> None:
    assert held(8, 3375, LARGE, 36) == 3375
    assert buffer_resources(8, 3375, 3375, ECP5.memory).brams == 2
    assert held(8, 3375, LARGE, 207) == 512 * 4, "one block RAM is left"
    assert held(8, 3375, LARGE, 208) == 64 and buffer_resources(8, 3375, 64, ECP5.memory).luts > 0
    assert held(24, 49152, LARGE, 0) == 512, "seventy block RAMs are more than an eighth"
    assert held(24, 49152, UNBOUNDED, 0) == 49152
    assert held(8, 60, Device("toy", brams=0), 0) == 60


def test_a_sample_in_memories_of_one_port_takes_no_block_ram() -> None:
    for bits, words in ((64, 16384), (4, 20), (17, 300)):
        assert held(bits, words, SMALL, 30) == words
        assert buffer_resources(bits, words, words, ICE40.memory).brams == 0
    assert held(65, 16384, SMALL, 20) == 256 and buffer_resources(65, 16384, 256, ICE40.memory).brams == 5
    assert held(8, 16385, SMALL, 20) == 512
    assert held(65, 100, SMALL, 20) == 100, "whole, for the blocks that less of it takes too"


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
    buffer = buffer_resources(lanes * lane_bits, top.identity.in_words, top.identity.buffer_words, ECP5.memory)
    planned = buffer + beside_buffer(lanes * lane_bits, value_bits + 1, out, ECP5)
    assert found.brams == planned.brams
    assert found.luts == pytest.approx(planned.luts, rel=0.1)
    assert found.ffs == pytest.approx(planned.ffs, rel=0.1)


def test_a_long_answer_and_the_queue_take_blocks_where_there_is_no_lut_ram(tmp_path: Path) -> None:
    board = boards.load("icebreaker")
    top = BoardTop(board, manifest(5, 6, 300, 16, 41), board.clock_mhz)
    beside = beside_buffer(30, 17, 41, ICE40)
    assert beside.brams == ICE40.overhead.brams + 2 + 2, "31 bits, and 17"
    assert beside_buffer(8, 17, 11, ICE40).brams == ICE40.overhead.brams + 1
    assert link_cells(top, ICE40, tmp_path).brams == beside.brams
