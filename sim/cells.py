"""Verilog models of a family's cells, for the simulation of netlists and of what stands around a design."""

from __future__ import annotations

import re
from functools import lru_cache

from boards.synthesis import library_folder
from rtl_gen.emit import PRIMITIVES
from rtl_gen.families import Family

__all__ = ["models"]


def models(cells: set[str], family: Family) -> str:
    """Verilog models of the named cells; raises ValueError naming a cell that has none."""
    known = _known(family)
    within = family.models.within if family.models is not None else {}
    needed = cells | {inner for cell in cells for inner in within.get(cell, ())}
    for cell in sorted(needed):
        if cell not in known:
            raise ValueError(f"the netlist has a cell {cell!r} of which there is no model for simulation")
    return "\n".join(known[cell] for cell in sorted(needed)) + "\n"


@lru_cache(maxsize=8)
def _known(family: Family) -> dict[str, str]:
    """The family's own blocks, and of all other cells yosys' models, without what simulators need not have."""
    if family.models is None:
        return {}
    library = "\n".join((library_folder() / name).read_text(encoding="utf-8") for name in family.models.files)
    library = re.sub(
        r"\(\*(?!\)).*?\*\)|\bspecify\b.*?\bendspecify\b|^`.*?$", "", library, flags=re.DOTALL | re.MULTILINE
    )
    library = library.replace("mem[i] <=", "mem[i] =")  # in initial blocks, where Verilator wants a blocking assignment
    blocks = (PRIMITIVES / family.models.blocks).read_text(encoding="utf-8")
    pattern = re.compile(r"^(module (\w+)\b.*?^endmodule)", re.DOTALL | re.MULTILINE)
    return {found[2]: found[1] for text in (library, blocks) for found in pattern.finditer(text)}
