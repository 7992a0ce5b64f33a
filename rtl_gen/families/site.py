"""Places of a device where hard blocks can stand, and what of a netlist may stand several times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Copied", "Site"]


@dataclass(frozen=True)
class Site:
    """A place of a device where one hard block can stand.

    Attributes
    ----------
    x, y : int
        Column and row of tiles.
    name : str
        As the placer's attribute BEL takes it.
    """

    x: int
    y: int
    name: str


@dataclass(frozen=True)
class Copied:
    """What is copied in a family's netlist.

    Parameters
    ----------
    outputs : mapping of str to str
        Of the types of cells that are: their output.
    shared : frozenset of str
        Inputs that neighbouring cells must have in common (clocks, enables, resets): these stay on the one net.
    """

    outputs: Mapping[str, str]
    shared: frozenset[str]
