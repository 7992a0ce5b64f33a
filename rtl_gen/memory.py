"""Memories with a registered address-to-data path: ROMs of constants and simple dual-port RAMs.

Everything that stores words across cycles is one of these two.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl_gen.families import Family

__all__ = ["Ram", "Rom"]


class Rom(wiring.Component):
    """data = words[address], the family's `read_latency` later.

    Parameters
    ----------
    words : sequence of int
        Contents, unsigned.
    width : int
        Bits of a word.
    family : Family
    """

    def __init__(self, words: Sequence[int], width: int, family: Family):
        self.words = list(words)
        self.width = width
        self.family = family
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
            attrs={"rom_style": "block" if self.family.memory.uses_block(len(self.words)) else "logic"},
        )
        port = memory.read_port()
        m.d.comb += [port.addr.eq(self.address), port.en.eq(1)]
        m.d.sync += self.data.eq(port.data)
        return m


class Ram(wiring.Component):
    """Simple dual port: data = contents[address], `read_latency` later; contents[write_address] = write_data.

    An address must not be read in the cycle in which it is written: the contents read are then undefined.
    """

    def __init__(self, depth: int, width: int, family: Family):
        self.depth = depth
        self.width = width
        self.family = family
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
        style = "block" if self.family.memory.uses_block(self.depth) else "distributed"
        m.submodules.contents = memory = Memory(
            shape=unsigned(self.width),
            depth=self.depth,
            init=[],
            attrs={"ram_style": style, "no_rw_check": 1},
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
