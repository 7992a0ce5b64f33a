"""Verilog models of a family's cells, for the simulation of netlists and of what stands around a design."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from boards.synthesis import library_folder
from rtl_gen.emit import PRIMITIVES
from rtl_gen.families import Family

__all__ = ["QUIET", "models"]

#: Of models and netlists nobody wants to hear that bits of a carry depend on each other, or how yosys writes latches.
QUIET = "/* verilator lint_off UNOPTFLAT */\n/* verilator lint_off COMBDLY */"


def models(cells: set[str], family: Family) -> str:
    """Verilog models of the named cells; raises ValueError naming a cell that has none."""
    known = _known(family)
    needed: set[str] = set()
    asked = sorted(cells)
    while asked:
        cell = asked.pop()
        if cell not in known:
            raise ValueError(f"the netlist has a cell {cell!r} of which there is no model for simulation")
        needed.add(cell)
        within = set(re.findall(r"^\s*(\w+)\s+(?:#\s*\(|\w+\s*\()", known[cell], re.MULTILINE)) & known.keys()
        asked += within - needed
    return "\n".join([QUIET, *(known[cell] for cell in sorted(needed))]) + "\n"


@lru_cache(maxsize=8)
def _known(family: Family) -> dict[str, str]:
    """The family's own blocks, and of all other cells yosys' models, without what simulators need not have."""
    if family.models is None:
        return {}
    library = "\n".join(_read(library_folder() / name) for name in family.models.files)
    library = re.sub(r"\(\*(?!\)).*?\*\)|\bspecify\b.*?\bendspecify\b", "", library, flags=re.DOTALL | re.MULTILINE)
    # What is not joined is joined to a constant (`Placing.simulated`): inputs are never z, which Verilator has not.
    library = re.sub(r"\((\w+) === 1'bz\) \? 1'b[01] : \1", r"\1", library)
    # In initial blocks, where Verilator wants a blocking assignment.
    library = library.replace("mem[i] <=", "mem[i] =")
    blocks = (PRIMITIVES / family.models.blocks).read_text(encoding="utf-8")
    pattern = re.compile(r"^(module (\w+)\b.*?^\s*endmodule)", re.DOTALL | re.MULTILINE)
    return {found[2]: found[1] for text in (library, blocks) for found in pattern.finditer(text)}


def _read(path: Path) -> str:
    """A file of models with its macros expanded: some are of one text, some have an argument, none is nested."""
    macros: dict[str, tuple[str, str]] = {}
    kept: list[bool] = []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.partition("//")[0]
        word, rest = [*line.split(None, 1), "", ""][:2]
        if word in ("`ifdef", "`ifndef"):
            kept.append((rest.strip() in macros) == (word == "`ifdef"))
        elif word == "`else":
            kept[-1] = not kept[-1]
        elif word == "`endif":
            kept.pop()
        elif not all(kept):
            continue
        elif word == "`define":
            name, argument, text = re.fullmatch(r"(\w+)(?:\((\w+)\))?\s*(.*)", rest.strip()).groups()  # type: ignore
            macros[name] = argument or "", text
        elif not word.startswith(("`timescale", "`include")):
            lines.append(re.sub(r"`(\w+)(?:\(([^()]*)\))?", lambda found: _expanded(found, macros), line))
    return "\n".join(lines)


def _expanded(found: re.Match[str], macros: dict[str, tuple[str, str]]) -> str:
    argument, text = macros[found[1]]
    given = found[2] if found[2] is not None else ""
    return re.sub(rf"\b{argument}\b", given, text) if argument else text + (f"({given})" if found[2] else "")
