"""Other contents for the ROMs of a placed design: in its netlist, and in the placer's configuration of its block RAMs.

The design is synthesised, placed and routed with patterns in place of its contents (`rtl_gen.contents`), of which every
column is known again wherever synthesis put it. What block RAMs hold is then exchanged, and nothing else moves.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rtl_gen.contents import PATTERN, Rom
from rtl_gen.families import Family, contents_in
from rtl_gen.families.block_contents import BlockContents

if TYPE_CHECKING:
    from rtl_gen.families.block_contents import Bits

__all__ = ["Block", "Column", "fill_configuration", "fill_netlist", "find_blocks"]


@dataclass(frozen=True)
class Column:
    """A bit of a block RAM's words: the bit `bit` of a ROM's words from `first` on."""

    place: int
    rom: str
    bit: int
    first: int


@dataclass(frozen=True)
class Block:
    """A block RAM that has parts of ROMs.

    Parameters
    ----------
    cell : str
        Its name in the netlist.
    width : int
        Of its port.
    pattern : bytes
        What it holds in the placed design: bits, a byte each.
    columns : tuple of Column
    """

    cell: str
    width: int
    pattern: bytes
    columns: tuple[Column, ...]

    def filled(self, roms: Mapping[str, Rom], family: Family) -> Bits:
        """The block's bits with the contents of ROMs, by key."""
        rows = np.zeros((dict(family.memory.shapes)[self.width], self.width), dtype=np.uint8)
        for column in self.columns:
            words = roms[column.rom].words[column.first : column.first + len(rows)]
            rows[: len(words), column.place] = [word >> column.bit & 1 for word in words]
        return contents_in(family).of_port(rows, self.width)


def find_blocks(netlist: Mapping[str, Any], top: str, patterns: Sequence[Rom], family: Family) -> list[Block]:
    """The block RAMs of a netlist that have patterns in them, and which.

    Raises
    ------
    ValueError
        Naming a ROM that synthesis put anywhere else, or a block RAM that holds something else.
    """
    contents, least = contents_in(family), min(depth for _, depth in family.memory.shapes)
    known: dict[bytes, tuple[Rom, int, int, Bits]] = {}
    for rom in patterns:
        bits = np.array([[word >> bit & 1 for bit in range(rom.width)] for word in rom.words], dtype=np.uint8)
        for first in range(0, len(bits), least):
            for bit in range(rom.width):
                key = bits[first : first + PATTERN, bit].tobytes()
                if key in known:
                    raise ValueError(f"ROM {rom.key}: its pattern is another's")
                known[key] = rom, bit, first, bits[first:, bit]
    blocks = []
    for name, cell in netlist["modules"][top]["cells"].items():
        if cell["type"] == family.memory.cell:
            block = _block(name, cell, known, contents)
            if block is not None:
                blocks.append(block)
    held = {column.rom for block in blocks for column in block.columns}
    for rom in patterns:
        if rom.key not in held:
            raise ValueError(f"ROM {rom.key}: synthesis put it into no block RAM")
    return blocks


def _block(
    name: str, cell: Mapping[str, Any], known: Mapping[bytes, tuple[Rom, int, int, Bits]], contents: BlockContents
) -> Block | None:
    """A block RAM that holds columns of ROMs; None where it holds nothing.

    A ROM is read at either port, so both widths are tried: only the right one makes columns of what is held.
    """
    bits = contents.of_cell(cell)
    if not bits.any():
        return None
    strange = 0
    for width in dict.fromkeys(contents.widths(cell)):
        rows = contents.by_port(bits, width)
        held = [place for place in range(width) if rows[:, place].any()]
        columns = [_column(place, rows[:, place], known) for place in held]
        if None not in columns:
            return Block(name, width, bits.tobytes(), tuple(column for column in columns if column is not None))
        strange = held[columns.index(None)]
    raise ValueError(f"block RAM {name}: bit {strange} of its words is no ROM's")


def _column(place: int, held: Bits, known: Mapping[bytes, tuple[Rom, int, int, Bits]]) -> Column | None:
    """Which ROM's column a bit of a block RAM's words has in it, and only that; None where it has something else."""
    found = known.get(held[:PATTERN].tobytes())
    if found is None:
        return None
    rom, bit, first, wanted = found
    count = min(len(wanted), len(held))
    if not np.array_equal(held[:count], wanted[:count]) or held[count:].any():
        return None
    return Column(place, rom.key, bit, first)


def fill_netlist(
    netlist: Mapping[str, Any], top: str, blocks: Sequence[Block], roms: Sequence[Rom], family: Family
) -> None:
    """Put contents of ROMs into a netlist, in place of whatever its block RAMs hold of them."""
    contents, wanted = contents_in(family), {rom.key: rom for rom in roms}
    for block in blocks:
        contents.to_cell(netlist["modules"][top]["cells"][block.cell], block.filled(wanted, family))


def fill_configuration(text: str, blocks: Sequence[Block], roms: Sequence[Rom], family: Family) -> str:
    """A placed design's configuration with contents of ROMs in place of the patterns.

    Raises
    ------
    ValueError
        Where the configuration does not hold every block's pattern as often as the netlist does.
    """
    contents, wanted = contents_in(family), {rom.key: rom for rom in roms}
    patterns = {block.pattern: block for block in blocks}
    wanting = Counter(block.pattern for block in blocks)

    def filled(found: re.Match[str]) -> str:
        block = patterns.get(contents.of_words(found[2].split()).tobytes())
        if block is None:
            return found[0]
        wanting[block.pattern] -= 1
        return found[1] + contents.lines(block.filled(wanted, family))

    done = contents.section.sub(filled, text)
    for pattern, count in wanting.items():
        if count:
            what = "does not hold" if count > 0 else "holds too often"
            raise ValueError(f"the placed design {what} the pattern of block RAM {patterns[pattern].cell}")
    return done
