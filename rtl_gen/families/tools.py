"""What makes a bitstream of a family's designs: passes of yosys, a placer, a packer, and models of cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CellModels", "Constraints", "Synthesis", "Tool"]


@dataclass(frozen=True)
class Synthesis:
    """From Verilog to a netlist of the family's cells.

    Parameters
    ----------
    command : str
        The pass of yosys.
    settings : tuple of str
        NAME=VALUE of yosys' scratchpad while it runs.
    after : tuple of str
        Passes behind it.
    rewrite : callable, optional
        What is done to the netlist behind yosys: of (netlist as write_json writes it, top), changed in place.
    """

    command: str
    settings: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    rewrite: Callable[[dict[str, Any], str], object] | None = None


@dataclass(frozen=True)
class Tool:
    """A program of a Python package, as a step of the way from netlist to bitstream.

    Parameters
    ----------
    name : str
        In errors and of the log.
    package : str
        The package on PyPI that brings it.
    module, call : str
        The module, and an expression that runs it, in which `tools` is the module and `sys.argv` its arguments.
    arguments : tuple of str
        Those that every call has. {package}, {speed}, {constraints}, {placed} and {bitstream} stand for the board's
        package and speed grade and for files, {part} for what the device is called.
    """

    name: str
    package: str
    module: str
    call: str
    arguments: tuple[str, ...] = ()

    def filled(self, **values: object) -> list[str]:
        """The arguments with names in place."""
        return [argument.format(**values) for argument in self.arguments]


@dataclass(frozen=True)
class Constraints:
    """The file that says which pin a port is at.

    Parameters
    ----------
    suffix : str
    pattern : str
        Regular expression of a line; its one group is the port.
    line : str
        A line, with {port} and {pin}.
    standard : str
        What follows it for a plain 3.3 V pin.
    """

    suffix: str
    pattern: str
    line: str
    standard: str = ""

    def ports(self, text: str) -> list[str]:
        """The ports that have a pin."""
        return re.findall(self.pattern, text, re.MULTILINE)

    def of(self, pins: Mapping[str, str]) -> str:
        """The text for ports at pins of 3.3 V."""
        form = f"{self.line}\n{self.standard}" if self.standard else self.line
        return "".join(form.format(port=port, pin=pin).rstrip() + "\n" for port, pin in pins.items())


@dataclass(frozen=True)
class CellModels:
    """Verilog models of the family's cells, for the simulation of netlists.

    Parameters
    ----------
    files : tuple of str
        yosys' own, below its share folder.
    blocks : str
        A file in `rtl_gen/primitives` with those that yosys knows as black boxes only.
    """

    files: tuple[str, ...]
    blocks: str
