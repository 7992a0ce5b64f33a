"""What an FPGA family is to the generator: its devices, and its multiplier and memory primitives with their timing."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Device", "Family", "MemoryPrimitive", "MultiplierPrimitive", "Resources", "Tool"]


@dataclass(frozen=True)
class Resources:
    """What a netlist takes of an FPGA.

    Attributes
    ----------
    dsps, brams : int
        Multipliers and block RAMs.
    luts : int
        LUTs, and what is made of them: a carry cell of the ECP5 (CCU2C) is two, a LUT RAM (TRELLIS_DPR16X4) four, as
        nextpnr counts both in TRELLIS_COMB. What the placer adds is not counted: cells that lead into and out of carry
        chains, and TRELLIS_RAMW, one to each LUT RAM, which it counts apart.
    ffs : int
        Flip-flops of the fabric; registers of multipliers and block RAMs are none.
    """

    dsps: int = 0
    brams: int = 0
    luts: int = 0
    ffs: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.dsps + other.dsps, self.brams + other.brams, self.luts + other.luts, self.ffs + other.ffs)


@dataclass(frozen=True)
class Device:
    """The budget of one FPGA.

    Parameters
    ----------
    name : str
        As `--device` takes it.
    dsps : int or None
        Multipliers; None is unbounded, here and below.
    brams : int or None
        Block RAMs.
    luts : int or None
    ffs : int or None
        Flip-flops.
    place_arguments : tuple of str
        What the family's placer calls the device; empty for a device that cannot be placed.

    Raises
    ------
    ValueError
        Naming the field that is of another type, or below 0.
    """

    name: str
    dsps: int | None = None
    brams: int | None = None
    luts: int | None = None
    ffs: int | None = None
    place_arguments: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: must be text, got {self.name!r}")
        for name in ("dsps", "brams", "luts", "ffs"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{name}: must be a number of at least 0, or None, got {value!r}")
        if not isinstance(self.place_arguments, tuple) or not all(isinstance(a, str) for a in self.place_arguments):
            raise ValueError(f"place_arguments: must be a tuple of text, got {self.place_arguments!r}")


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
    """

    cell: str
    bits: int
    latency: int
    verilog: str
    simulation: str


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
        Words of a LUT RAM cell.
    exchangeable : bool
        All ROMs are put into block RAM, where their contents can be exchanged in a bitstream; costs do not know of it.
    """

    cell: str
    shapes: tuple[tuple[int, int], ...]
    block_depth: int
    lut_depth: int
    exchangeable: bool = False

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

    def luts(self, depth: int, width: int) -> int:
        """LUTs of a memory's LUT RAM cells; 0 when it lives in block RAM."""
        if self.uses_block(depth):
            return 0
        banks = -(-depth // self.lut_depth)
        return -(-width // 4) * banks * 4 + width * (banks - 1)


@dataclass(frozen=True)
class Tool:
    """A program of a Python package, as a step of the way from netlist to bitstream.

    Parameters
    ----------
    name : str
        In errors and of the log.
    package : str
        The package on PyPI that brings it.
    module, function : str
        What is called with the arguments.
    arguments : tuple of str
        Those that every call has.
    """

    name: str
    package: str
    module: str
    function: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """FPGAs that differ in size only: all that the generator, the planner and the boards know of them.

    Parameters
    ----------
    name : str
    devices : tuple of Device
        In the order of their size.
    multiplier : MultiplierPrimitive
    memory : MemoryPrimitive
    lut_share : float
        Share of the LUTs that a plan may use: routing degrades with more.
    overhead : Resources
        What the argmax, the link and the board's top level take.
    synthesis : str
        The pass of yosys that maps a design to the family's cells.
    settings : tuple of str
        NAME=VALUE of yosys' scratchpad while it does.
    models : str
        Folder of yosys' Verilog models of these cells.
    place, pack : Tool
    pll : str
        The cell that makes the clock.
    cells : tuple of (str, str)
        The placer's names of the cells that are counted, and what they are, in errors.
    """

    name: str
    devices: tuple[Device, ...]
    multiplier: MultiplierPrimitive
    memory: MemoryPrimitive
    lut_share: float
    overhead: Resources
    synthesis: str
    settings: tuple[str, ...]
    models: str
    place: Tool
    pack: Tool
    pll: str
    cells: tuple[tuple[str, str], ...]

    def __hash__(self) -> int:
        """Of the name alone: what is computed of a family is remembered by it, and asked for very often."""
        return hash(self.name)
