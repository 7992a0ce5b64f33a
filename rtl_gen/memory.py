"""Memories with a registered address-to-data path: ROMs of constants and simple dual-port RAMs.

Everything that stores words across cycles is one of these two, so that a family's block RAM (with its own output
register) is a change in this file alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["BLOCK_DEPTH", "READ_LATENCY", "Ram", "Rom", "uses_block_ram"]

#: Cycles from an address to its data: the memory's own read and the output register.
READ_LATENCY = 2
#: Depth from which a memory goes to block RAM rather than to LUTs.
BLOCK_DEPTH = 65


def uses_block_ram(depth: int) -> bool:
    """Whether a memory of this depth is put into block RAM."""
    return depth >= BLOCK_DEPTH


class Rom(wiring.Component):
    """data = words[address], two cycles later.

    Parameters
    ----------
    words : sequence of int
        Contents, unsigned.
    width : int
        Bits of a word.
    """

    def __init__(self, words: Sequence[int], width: int):
        self.words = list(words)
        self.width = width
        super().__init__({"address": In(unsigned(max(ceil_log2(len(self.words)), 1))), "data": Out(unsigned(width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if len(self.words) == 1:
            m.d.comb += self.data.eq(self.words[0])
            return m
        m.submodules.contents = memory = Memory(
            shape=unsigned(self.width),
            depth=len(self.words),
            init=self.words,
            attrs={"rom_style": "block" if uses_block_ram(len(self.words)) else "logic"},
        )
        port = memory.read_port()
        m.d.comb += [port.addr.eq(self.address), port.en.eq(1)]
        m.d.sync += self.data.eq(port.data)
        return m


class Ram(wiring.Component):
    """Simple dual port: data = contents[address] two cycles later; contents[write_address] = write_data.

    An address must not be read in the cycle in which it is written: the contents read are then undefined.
    """

    def __init__(self, depth: int, width: int):
        self.depth = depth
        self.width = width
        address = unsigned(max(ceil_log2(depth), 1))
        super().__init__(
            {
                "address": In(address),
                "data": Out(unsigned(width)),
                "write_enable": In(1),
                "write_address": In(address),
                "write_data": In(unsigned(width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.contents = memory = Memory(
            shape=unsigned(self.width),
            depth=self.depth,
            init=[],
            attrs={"ram_style": "block" if uses_block_ram(self.depth) else "distributed", "no_rw_check": 1},
        )
        read, write = memory.read_port(), memory.write_port()
        fetched = Signal(self.width)
        m.d.comb += [
            read.addr.eq(self.address),
            read.en.eq(1),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
            fetched.eq(read.data),
        ]
        m.d.sync += self.data.eq(fetched)
        return m
