"""A family's blocks beside its LUTs: multipliers and memories, with what the generator must know of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtl_gen.families.block_contents import BlockContents
from rtl_gen.families.resources import Resources

#: Of a memory in Verilog.
Attributes = Mapping[str, str | int]

#: Bits up to which a queue is made of registers, where there is no LUT RAM.
QUEUE_BITS = 32

__all__ = ["DualPrimitive", "MemoryPrimitive", "MultiplierPrimitive", "SinglePortPrimitive"]


def _attributes(**values: str | int) -> Any:
    return field(default_factory=lambda: dict(values))


@dataclass(frozen=True)
class DualPrimitive:
    """The multiplier block as two narrower ones, module `qtt_multiplier_pair` beside `qtt_multiplier`.

    Parameters
    ----------
    bits : int
        Of each operand, signed or not.
    latency : int
        Cycles from operands to products.
    """

    bits: int
    latency: int


@dataclass(frozen=True)
class MultiplierPrimitive:
    """The multiplier block.

    Parameters
    ----------
    cell : str
        Its name in netlists.
    bits : int
        Signed bits of each operand.
    latency : int
        Cycles from operands to product.
    verilog, simulation : str
        Files in `rtl_gen/primitives` that define the module `qtt_multiplier`: of the block, and of its behaviour.
    dual : DualPrimitive, optional
        Where a block can also be two multipliers whose operands have nothing in common.
    """

    cell: str
    bits: int
    latency: int
    verilog: str
    simulation: str
    dual: DualPrimitive | None = None

    def holds_two(self, *bits: int) -> bool:
        """Whether a block forms two products of operands with so many bits, as two multipliers."""
        return self.dual is not None and max(bits) <= self.dual.bits


@dataclass(frozen=True)
class SinglePortPrimitive:
    """Large memories of one port, without contents at the start; synthesis infers none, so that they are instances.

    Module `qtt_single_port` stands beside `qtt_multiplier`.

    Parameters
    ----------
    cell : str
    width, depth : int
        Of one.
    count : int
        That the smallest device has.
    pins : callable
        The cell's pins: of clock, address, data to write, write enable, and the signal for what is read, which comes a
        cycle later.
    """

    cell: str
    width: int
    depth: int
    count: int
    pins: Callable[..., Mapping[str, Any]]

    def blocks(self, width: int) -> int:
        """Of words of so many bits."""
        return -(-width // self.width)

    def holds(self, depth: int, width: int) -> bool:
        return depth <= self.depth and width <= self.width * self.count


@dataclass(frozen=True)
class MemoryPrimitive:
    """Block RAM with a read and a write port, and the LUT RAM that shallow memories live in.

    Parameters
    ----------
    cell : str
        The block RAM's name in netlists.
    shapes : tuple of (int, int)
        (width, depth) of the forms that a block RAM can take.
    block_depth : int
        Depth from which a memory goes to block RAM rather than to LUTs.
    lut_depth : int
        Words of a LUT RAM cell; where there is none, of the registers that shallow memories are made of.
    lut_ram : bool
        Whether there is LUT RAM, which is read without a clock.
    registered : bool
        Whether a block's own output register takes the place of the one behind it.
    contents : BlockContents, optional
        How a netlist and a placed design hold a block's bits, where a bitstream's block RAMs can be given others.
    exchangeable : bool
        All ROMs are put into block RAM, where their contents can be exchanged in a bitstream; costs do not know of it.
    block_rom, logic_rom, block_ram, shallow_ram, queue_ram : mapping of str to str or int
        Verilog attributes that put a memory there.
    single_port : SinglePortPrimitive, optional
        Beside block RAM: for what is written first and read then.
    """

    cell: str
    shapes: tuple[tuple[int, int], ...]
    block_depth: int
    lut_depth: int
    lut_ram: bool = True
    registered: bool = True
    contents: BlockContents | None = None
    exchangeable: bool = False
    block_rom: Attributes = _attributes(rom_style="block")
    logic_rom: Attributes = _attributes(rom_style="logic")
    block_ram: Attributes = _attributes(ram_style="block", no_rw_check=1)
    shallow_ram: Attributes = _attributes(ram_style="distributed", no_rw_check=1)
    queue_ram: Attributes = _attributes(ram_style="distributed")
    single_port: SinglePortPrimitive | None = None

    @property
    def deepest_block(self) -> int:
        """Words of the deepest block RAM: so much more than it can use may a memory have for the same cells."""
        return max(depth for _, depth in self.shapes)

    def uses_block(self, depth: int) -> bool:
        """Whether a memory of this depth is put into block RAM."""
        return depth >= self.block_depth

    def _shape(self, depth: int, width: int) -> tuple[int, int, int]:
        """(blocks, words they hold, words of a bank) of the cheapest arrangement of block RAMs in banks."""
        options = [(-(-width // w) * -(-depth // d), -(-depth // d) * d, d) for w, d in self.shapes]
        return min(options, key=lambda option: (option[0], -option[1], -option[2]))

    def blocks(self, depth: int, width: int) -> int:
        """Block RAMs of a memory; 0 when it lives in LUTs."""
        return self._shape(depth, width)[0] if width and self.uses_block(depth) else 0

    def columns(self, depth: int, width: int) -> list[int]:
        """Bits of each of the ROMs that a word is divided into, from bit 0, so that no synthesis mixes two forms.

        A form of 4 bits or fewer can leave bits of a block unused, where wider ones do not: of a deep bank, synthesis
        then puts most of a word into shallower, wider blocks, between which it has LUTs choose, and the register
        behind those is none of the blocks' own.
        """
        if not self.uses_block(depth):
            return [width]
        bank = self.bank(depth, width)
        each = next((w for w, d in self.shapes if d == bank), width)
        wider = [(w, bank // d) for w, d in self.shapes if each < w <= width and d < bank]
        # So many blocks of a wider form hold what more of the deep one would.
        saving = [w for w, several in wider if several < -(-w // each)]
        most = (min(saving) - 1) // each * each if saving else width
        return [min(most, width - first) for first in range(0, width, most)]

    def bank(self, depth: int, width: int) -> int:
        """Words of each of a memory's banks, of which one is selected; at least `depth` where there is but one."""
        return self._shape(depth, width)[2] if self.uses_block(depth) else self.lut_depth

    def read_latency(self, depth: int, width: int) -> int:
        """Cycles from an address to its data: the memory's own read, a register, and one where banks are selected."""
        return 3 if self.uses_block(depth) and depth > self.bank(depth, width) else 2

    def capacity(self, least: int, width: int) -> int:
        """Words that a memory of at least `least` can have for the same cells: slack that costs nothing."""
        if self.uses_block(least):
            return self._shape(least, width)[1]
        # Not past the depth at which it would move to block RAM.
        rounded = -(-least // self.lut_depth) * self.lut_depth
        return max(least, min(rounded, self.block_depth - 1))

    def shallow(self, depth: int, width: int) -> Resources:
        """LUT RAM of so many words, without what selects between its cells; or registers, and what selects a word."""
        if self.lut_ram:
            return Resources(luts=-(-width // 4) * 4 * -(-depth // self.lut_depth))
        return Resources(luts=width * (depth - 1) * 2 // 3 + depth, ffs=width * depth)

    def queue_in_block(self, depth: int, width: int) -> bool:
        """Whether a queue is in block RAM: where there is no LUT RAM, and registers would be many."""
        return not self.lut_ram and depth * width > QUEUE_BITS

    def queue(self, depth: int, width: int) -> Resources:
        """The memory of a queue."""
        if self.queue_in_block(depth, width):
            return Resources(brams=self._shape(depth, width)[0])
        return self.shallow(depth, width)
