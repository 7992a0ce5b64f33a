"""Other contents for the ROMs of a placed design: in its netlist, and in the placer's configuration of its block RAMs.

The design is synthesised, placed and routed with patterns in place of its contents (`rtl_gen.contents`), of which every
column is known again wherever synthesis put it. What block RAMs hold is then exchanged, and nothing else moves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl_gen.contents import PATTERN, Rom

__all__ = ["BLOCK", "Block", "Column", "fill_configuration", "fill_netlist", "find_blocks"]

#: The block RAM whose contents are known here, its bytes of 9 bits, and its rows by the width of its port.
BLOCK = "DP16KD"
_BYTES, _BYTE = 2048, 9
_ROWS = {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384}
_INIT = re.compile(r"^\.bram_init (\d+)\n((?:[0-9a-f]+(?: [0-9a-f]+)*\n)+)", re.MULTILINE)

#: Bits of a block RAM, [bytes, bits of a byte], or by its port, [rows, width].
Bits = NDArray[np.uint8]


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

    def filled(self, roms: Mapping[str, Rom]) -> Bits:
        """The block's bits with the contents of ROMs, by key."""
        rows = np.zeros((_ROWS[self.width], self.width), dtype=np.uint8)
        for column in self.columns:
            words = roms[column.rom].words[column.first : column.first + len(rows)]
            rows[: len(words), column.place] = [word >> column.bit & 1 for word in words]
        return _of_port(rows, self.width)


def _by_port(bits: Bits, width: int) -> Bits:
    """A block RAM's bits, [rows, width], as a port of a width sees them; narrow ones leave each byte's last bit out."""
    used = bits if width >= _BYTE else bits[:, : _BYTE - 1]
    return used.reshape(_ROWS[width], width)


def _of_port(rows: Bits, width: int) -> Bits:
    """The other way round."""
    bits = np.zeros((_BYTES, _BYTE), dtype=np.uint8)
    used = _BYTE if width >= _BYTE else _BYTE - 1
    bits[:, :used] = rows.reshape(_BYTES, used)
    return bits


def _of_cell(cell: Mapping[str, Any]) -> Bits:
    """The bits of a netlist's cell."""
    bits = np.zeros((_BYTES, _BYTE), dtype=np.uint8)
    for index in range(64):
        text = cell["parameters"].get(f"INITVAL_{index:02X}", "0")
        value = np.frombuffer(text.encode()[::-1].ljust(320, b"0"), dtype=np.uint8) == ord("1")
        pairs = value.reshape(16, 20)[:, :18].reshape(32, _BYTE)
        bits[32 * index : 32 * index + 32] = pairs
    return bits


def _to_cell(cell: dict[str, Any], bits: Bits) -> None:
    """Put bits into a netlist's cell."""
    for index in range(64):
        pairs = np.zeros((16, 20), dtype=np.uint8)
        pairs[:, :18] = bits[32 * index : 32 * index + 32].reshape(16, 18)
        cell["parameters"][f"INITVAL_{index:02X}"] = "".join(map(str, pairs.reshape(-1)[::-1]))


def find_blocks(netlist: Mapping[str, Any], top: str, patterns: Sequence[Rom]) -> list[Block]:
    """The block RAMs of a netlist that have patterns in them, and which.

    Raises
    ------
    ValueError
        Naming a ROM that synthesis put anywhere else, or a block RAM that holds something else.
    """
    known: dict[bytes, tuple[Rom, int, int, Bits]] = {}
    for rom in patterns:
        bits = np.array([[word >> bit & 1 for bit in range(rom.width)] for word in rom.words], dtype=np.uint8)
        for first in range(0, len(bits), min(_ROWS.values())):
            for bit in range(rom.width):
                key = bits[first : first + PATTERN, bit].tobytes()
                if key in known:
                    raise ValueError(f"ROM {rom.key}: its pattern is another's")
                known[key] = rom, bit, first, bits[first:, bit]
    blocks = []
    for name, cell in netlist["modules"][top]["cells"].items():
        if cell["type"] == BLOCK:
            block = _block(name, cell, known)
            if block is not None:
                blocks.append(block)
    held = {column.rom for block in blocks for column in block.columns}
    for rom in patterns:
        if rom.key not in held:
            raise ValueError(f"ROM {rom.key}: synthesis put it into no block RAM")
    return blocks


def _block(name: str, cell: Mapping[str, Any], known: Mapping[bytes, tuple[Rom, int, int, Bits]]) -> Block | None:
    """A block RAM that holds columns of ROMs; None where it holds nothing.

    A ROM is read at either port, so both widths are tried: only the right one makes columns of what is held.
    """
    bits = _of_cell(cell)
    if not bits.any():
        return None
    strange = 0
    for width in dict.fromkeys(int(cell["parameters"][f"DATA_WIDTH_{side}"], 2) for side in "AB"):
        rows = _by_port(bits, width)
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


def fill_netlist(netlist: Mapping[str, Any], top: str, blocks: Sequence[Block], roms: Sequence[Rom]) -> None:
    """Put contents of ROMs into a netlist, in place of whatever its block RAMs hold of them."""
    contents = {rom.key: rom for rom in roms}
    for block in blocks:
        _to_cell(netlist["modules"][top]["cells"][block.cell], block.filled(contents))


def fill_configuration(text: str, blocks: Sequence[Block], roms: Sequence[Rom]) -> str:
    """A placed design's configuration with contents of ROMs in place of the patterns.

    Raises
    ------
    ValueError
        Where the configuration does not hold every block's pattern, once.
    """
    contents = {rom.key: rom for rom in roms}
    patterns = {block.pattern: block for block in blocks}
    seen: list[str] = []

    def filled(found: re.Match[str]) -> str:
        block = patterns.get(_of_words(found[2].split()).tobytes())
        if block is None:
            return found[0]
        seen.append(block.cell)
        return f".bram_init {found[1]}\n" + "".join(_lines(block.filled(contents)))

    done = _INIT.sub(filled, text)
    if sorted(seen) != sorted(block.cell for block in blocks) or len(patterns) != len(blocks):
        lacking = min({block.cell for block in blocks} - set(seen), default="twice")
        raise ValueError(f"the placed design does not hold the pattern of block RAM {lacking}")
    return done


def _of_words(words: Sequence[str]) -> Bits:
    """Bits of a configuration's bytes."""
    if len(words) != _BYTES:
        return np.zeros(0, dtype=np.uint8)
    values = np.array([int(word, 16) for word in words], dtype=np.uint16)
    return (values[:, None] >> np.arange(_BYTE, dtype=np.uint16) & 1).astype(np.uint8)


def _lines(bits: Bits) -> Iterator[str]:
    values = (bits.astype(np.uint16) << np.arange(_BYTE, dtype=np.uint16)).sum(axis=1)
    for first in range(0, _BYTES, 8):
        yield " ".join(f"{value:03x}" for value in values[first : first + 8]) + "\n"
