"""Memories with a registered address-to-data path: ROMs of constants, simple dual-port RAMs, and RAMs of one port.

Everything that stores words across cycles is one of these, but for queues. A memory deeper than one cell is made of
banks; each has a register of its own, behind which one bank is selected, so that no selection follows a memory's slow
read within a cycle. The register behind a block RAM has no reset, so that the block's own can take its place.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, ClockSignal, Instance, Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Member, Out
from amaranth.utils import ceil_log2

from rtl_gen.delay import delay
from rtl_gen.families import Family
from rtl_gen.families.blocks import SinglePortPrimitive

__all__ = ["PacedRam", "Ram", "Rom", "SinglePortRam"]


def _address_bits(depth: int) -> int:
    return max(ceil_log2(depth), 1)


def _written_and_read(depth: int, width: int) -> dict[str, Member]:
    """Members of a memory that is written at one address and read at another."""
    address = unsigned(_address_bits(depth))
    return {
        "address": In(address),
        "data": Out(unsigned(width)),
        "write_enable": In(1),
        "write_address": In(address),
        "write_data": In(unsigned(width)),
    }


def _read_at(m: Module, address: Value, latency: int, least: int, name: str = "address") -> Value:
    """The address as late as makes a memory of `least` cycles one of `latency`."""
    if latency < least:
        raise ValueError(f"the memory takes {least} cycles, not {latency}")
    return delay(m, address, latency - least, name)


def _selected(m: Module, banks: Sequence[Value], address: Value, bank: int, latency: int, data: Value) -> None:
    """`data` a cycle after the banks' registers, which have the words of an address `latency` cycles ago."""
    if len(banks) == 1:
        m.d.comb += data.eq(banks[0])
        return
    number = delay(m, address[ceil_log2(bank) :], latency, "number")
    held = Signal(len(data), reset_less=True)
    m.d.sync += held.eq(Array(banks)[number])
    m.d.comb += data.eq(held)


class Rom(wiring.Component):
    """data = words[address], `latency` cycles later.

    Parameters
    ----------
    words : sequence of int
        Contents, unsigned.
    width : int
        Bits of a word.
    family : Family
    latency : int, optional
        At least the family's `read_latency`, which it is when left out.
    """

    def __init__(self, words: Sequence[int], width: int, family: Family, latency: int | None = None):
        self.words = list(words)
        self.width = width
        self.family = family
        self.least = family.memory.read_latency(len(self.words), width)
        self.latency = self.least if latency is None else latency
        super().__init__({"address": In(unsigned(_address_bits(len(self.words)))), "data": Out(unsigned(width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        memory, given, address = self.family.memory, self.words, self.address
        depth = len(given)
        if depth == 1 and not memory.exchangeable:
            m.d.comb += self.data.eq(given[0])
            return m
        if depth == 1:  # A memory all the same, which no synthesis takes for a constant: its address moves.
            depth, given = 2, 2 * given
            address = Signal()
            m.d.sync += address.eq(~address)
        block = memory.uses_block(depth) or memory.exchangeable
        bank = memory.bank(depth, self.width) if memory.uses_block(depth) else depth
        address = _read_at(m, address, self.latency, self.least)
        banks: list[Value] = []
        columns = memory.columns(depth, self.width)
        for first in range(0, depth, bank):
            words = given[first : first + bank]
            held = Signal(self.width, name=f"held_{first // bank}", reset_less=True)
            low = 0
            for bits in columns:
                contents = Memory(
                    shape=unsigned(bits),
                    depth=len(words) if depth <= bank else bank,
                    init=[word >> low & (1 << bits) - 1 for word in words],
                    attrs=dict(memory.block_rom if block else memory.logic_rom),
                )
                number = f"_{first // bank}" if depth > bank else ""
                m.submodules[f"contents{number}" + (f"_from_{low}" if len(columns) > 1 else "")] = contents
                port = contents.read_port()
                m.d.comb += [port.addr.eq(address[: len(port.addr)]), port.en.eq(1)]
                m.d.sync += held[low : low + bits].eq(port.data)
                low += bits
            banks.append(held)
        _selected(m, banks, address, bank, 2, self.data)
        return m


class Ram(wiring.Component):
    """Simple dual port: data = contents[address], `latency` cycles later; contents[write_address] = write_data.

    An address must not be read in the cycle in which it is written: the contents read are then undefined. With a
    `latency` above the least the address is read so much later.

    Parameters
    ----------
    depth : int
        Words.
    width : int
        Bits of a word.
    family : Family
    latency : int, optional
        At least the family's `read_latency`, which it is when left out.
    early : bool
        `write_enable` and `write_address` come a cycle before `write_data`, so that the enable of each bank is a
        register.
    """

    def __init__(self, depth: int, width: int, family: Family, latency: int | None = None, early: bool = False):
        self.depth = depth
        self.early = early
        self.width = width
        self.family = family
        self.least = family.memory.read_latency(depth, width)
        self.latency = self.least if latency is None else latency
        super().__init__(_written_and_read(depth, width))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        memory, depth = self.family.memory, self.depth
        block, bank = memory.uses_block(depth), memory.bank(depth, self.width)
        address = _read_at(m, self.address, self.latency, self.least)
        write_address = delay(m, self.write_address[: ceil_log2(bank)], int(self.early), "write_address")
        banks: list[Value] = []
        for number in range(-(-depth // bank)):
            contents = Memory(
                shape=unsigned(self.width),
                depth=depth if depth <= bank else bank,
                init=[],
                attrs=dict(memory.block_ram if block else memory.shallow_ram),
            )
            m.submodules[f"contents_{number}" if depth > bank else "contents"] = contents
            read, write = contents.read_port(), contents.write_port()
            here = self.write_address[ceil_log2(bank) :] == number if depth > bank else 1
            m.d.comb += [
                read.addr.eq(address[: len(read.addr)]),
                read.en.eq(1),
                write.addr.eq(write_address[: len(write.addr)]),
                write.data.eq(self.write_data),
                write.en.eq(delay(m, self.write_enable & here, int(self.early), f"write_enable_{number}")),
            ]
            word: Value = read.data
            if block or depth <= bank:
                held = Signal(self.width, name=f"held_{number}", reset_less=True)
                m.d.sync += held.eq(read.data)
                word = held
            banks.append(word)
        _selected(m, banks, address, bank, 2 if block else 1, self.data)
        return m


def _single_port(depth: int, width: int, family: Family) -> SinglePortPrimitive:
    """The family's memories of one port, which hold so many words; raises ValueError where there are none."""
    primitive = family.memory.single_port
    if primitive is None or not primitive.holds(depth, width):
        raise ValueError(f"{family.title} has no memory of one port for {depth} words of {width} bits")
    return primitive


class SinglePortRam(wiring.Component):
    """As a `Ram` with the least latency, in the family's memories of one port: in a cycle it is written or read.

    Parameters
    ----------
    depth, width : int
        That the family's `single_port` holds.
    family : Family
    """

    latency = 2

    def __init__(self, depth: int, width: int, family: Family):
        self.primitive = _single_port(depth, width, family)
        self.width = width
        super().__init__(_written_and_read(depth, width))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cell, bits = self.primitive, self.primitive.width
        address = Signal(range(cell.depth))
        m.d.comb += address.eq(Mux(self.write_enable, self.write_address, self.address))
        for number, first in enumerate(range(0, self.width, bits)):
            word, written = Signal(bits, name=f"word_{number}"), Signal(bits, name=f"written_{number}")
            m.d.comb += written.eq(self.write_data[first : first + bits])
            pins = cell.pins(ClockSignal("sync"), address, written, self.write_enable, word)
            m.submodules[f"block_{number}"] = Instance(cell.cell, **pins)
            part = self.data[first : first + bits]
            held = Signal(len(part), name=f"held_{number}", reset_less=True)
            m.d.sync += held.eq(word)
            m.d.comb += part.eq(held)
        return m


class PacedRam(wiring.Component):
    """As a `Ram` with `early`, in the family's memories of one port.

    It is read in cycles that are two apart or more, and written to as often: a word that comes in the cycle of a read
    is written in the next one.

    Parameters
    ----------
    depth, width : int
        That the family's `single_port` holds.
    family : Family
    latency : int
        At least 2.

    Members
    -------
    reads : In
        `address` is read: in no other cycle.
    """

    def __init__(self, depth: int, width: int, family: Family, latency: int = 2):
        self.primitive = _single_port(depth, width, family)
        self.width, self.latency = width, latency
        super().__init__({**_written_and_read(depth, width), "reads": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth, bits = self.primitive.depth, self.primitive.width
        reads = _read_at(m, self.reads, self.latency, 2, "reads")
        read_address = _read_at(m, self.address, self.latency, 2)
        comes, waits = delay(m, self.write_enable, 1, "write_enable"), Signal()
        place = delay(m, self.write_address, 1, "write_address")
        kept, kept_place = Signal.like(self.write_data), Signal.like(self.write_address)
        write, address, word = Signal(), Signal(range(depth)), Signal(self.width)
        m.d.sync += [waits.eq(comes & reads), kept.eq(self.write_data), kept_place.eq(place)]
        m.d.comb += [
            write.eq((comes | waits) & ~reads),
            address.eq(Mux(reads, read_address, Mux(waits, kept_place, place))),
            word.eq(Mux(waits, kept, self.write_data)),
        ]
        for number, first in enumerate(range(0, self.width, bits)):
            given, found = Signal(bits, name=f"given_{number}"), Signal(bits, name=f"found_{number}")
            m.d.comb += given.eq(word[first : first + bits])
            if platform is None:  # Amaranth's own simulator runs no instances
                m.submodules[f"block_{number}"] = block = Memory(shape=bits, depth=depth, init=[])
                read, written = block.read_port(), block.write_port()
                m.d.comb += [
                    *(read.addr.eq(address), read.en.eq(~write), found.eq(read.data)),
                    *(written.addr.eq(address), written.en.eq(write), written.data.eq(given)),
                ]
            else:
                m.submodules[f"block_{number}"] = Instance(
                    "qtt_single_port",
                    i_clk=ClockSignal("sync"),
                    i_address=address,
                    i_data=given,
                    i_write=write,
                    o_q=found,
                )
            part = self.data[first : first + bits]
            held = Signal(len(part), name=f"held_{number}", reset_less=True)
            m.d.sync += held.eq(found)
            m.d.comb += part.eq(held)
        return m
