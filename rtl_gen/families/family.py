"""What an FPGA family is to the generator, the planner and the boards: one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtl_gen.families.blocks import MemoryPrimitive, MultiplierPrimitive
from rtl_gen.families.counts import Counting, Fit
from rtl_gen.families.pll import Pll
from rtl_gen.families.resources import Device, Resources
from rtl_gen.families.tools import CellModels, Constraints, Synthesis, Tool

__all__ = ["Family", "Placing"]


@dataclass(frozen=True)
class Placing:
    """From a netlist to a bitstream, for a family that packages of pip can place.

    Parameters
    ----------
    place, pack : Tool
    constraints : Constraints
    pads : tuple of str
        The placer's arguments for a board, as `Tool.arguments`.
    alone : tuple of str
        The placer's arguments for a module by itself, without pads; empty where it cannot.
    placed, bitstream : str
        Name of the placed design, and what a bitstream's name ends with.
    packages, speeds : tuple
        Packages and speed grades that there are.
    pll : Pll
    inner_pll : Pll, optional
        For an oscillator at another pin than the PLL's own, where it has one; otherwise the same.
    simulated : callable, optional
        What makes a placed netlist fit for models of its cells: of (netlist as nextpnr writes it, name of its top,
        the oscillator's port), changed in place. None where there are no models of the placer's cells.
    """

    place: Tool
    pack: Tool
    constraints: Constraints
    pads: tuple[str, ...]
    alone: tuple[str, ...]
    placed: str
    bitstream: str
    packages: tuple[str, ...]
    speeds: tuple[int, ...]
    pll: Pll
    inner_pll: Pll | None = None
    simulated: Callable[[dict[str, Any], str, str], None] | None = None


@dataclass(frozen=True)
class Family:
    """FPGAs that differ in size only: all that the generator, the planner and the boards know of them.

    Parameters
    ----------
    name : str
    title : str
        In messages: what its chips are called.
    devices : tuple of Device
        In the order of their size; the last one has all bounds.
    multiplier : MultiplierPrimitive
    memory : MemoryPrimitive
    lut_share : float
        Share of the LUTs that a plan may use: routing degrades with more.
    overhead : Resources
        What the argmax, the board's top level and its link take, without the link's buffer.
    fit : Fit
        LUTs and flip-flops of the family beside those of an ECP5, in which `rtl_gen.costs` counts.
    netlist, placed : Counting
        How cells of a netlist, and of what the placer reports, are counted.
    synthesis : Synthesis
    models : CellModels, optional
    placing : Placing, optional
        None where no package of pip places it.
    """

    name: str
    title: str
    devices: tuple[Device, ...]
    multiplier: MultiplierPrimitive
    memory: MemoryPrimitive
    lut_share: float
    overhead: Resources
    fit: Fit
    netlist: Counting
    placed: Counting
    synthesis: Synthesis
    models: CellModels | None
    placing: Placing | None

    def __hash__(self) -> int:
        """Of the name alone: what is computed of a family is remembered by it, and asked for very often."""
        return hash(self.name)

    def counted(self, cells: Mapping[str, int]) -> Resources:
        """What a netlist's cells take."""
        return self.netlist.of(cells)
