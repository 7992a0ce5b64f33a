"""The contents of a design's ROMs: read from its Verilog, left out of it, and replaced by patterns for synthesis.

A netlist whose weights can be exchanged must not depend on them. It is therefore synthesised with patterns in their
place, in which every bit of a word, over all words, is unlike every other bit of any ROM; wherever synthesis puts such
a column, it is known by its pattern.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["PATTERN", "Rom", "contents_of", "patterned", "refuse_difference", "skeleton"]

#: Words of a pattern that tell a column from all others; ROMs are padded to multiples of it.
PATTERN = 64
_ROM = re.compile(
    r'^  \(\* rom_style = "(?P<style>block|logic)" \*\)\n'
    r"  reg (?:\[(?P<high>\d+):0\] )?(?P<name>\w+) \[(?P<last>\d+):0\];\n"
    r"  initial begin\n(?P<words>(?:    (?P=name)\[\d+\] = \d+'(?:h[0-9a-f]+|d\d+);\n)+)  end\n",
    re.MULTILINE,
)
_MODULE = re.compile(r"^module (\w+)", re.MULTILINE)
_WORD = re.compile(r"\[(\d+)\] = \d+'([hd])([0-9a-f]+);")  # yosys writes words of 32 bits as decimal numbers


@dataclass(frozen=True)
class Rom:
    """A ROM of a design.

    Parameters
    ----------
    module : str
        In which it stands.
    name : str
        Of the memory there.
    width : int
        Bits of a word.
    words : tuple of int
    """

    module: str
    name: str
    width: int
    words: tuple[int, ...]

    @property
    def key(self) -> str:
        return f"{self.module}.{self.name}"


def _roms(text: str) -> Iterator[tuple[re.Match[str], Rom]]:
    """Every ROM of a design's Verilog and where it stands."""
    modules = [(found.start(), found[1]) for found in _MODULE.finditer(text)]
    number = 0
    for found in _ROM.finditer(text):
        while number + 1 < len(modules) and modules[number + 1][0] < found.start():
            number += 1
        words = [0] * (int(found["last"]) + 1)
        for index, base, digits in _WORD.findall(found["words"]):
            words[int(index)] = int(digits, 16 if base == "h" else 10)
        yield found, Rom(modules[number][1], found["name"], int(found["high"] or 0) + 1, tuple(words))


def contents_of(text: str) -> list[Rom]:
    """The ROMs of a design's Verilog."""
    return [rom for _, rom in _roms(text)]


def skeleton(text: str) -> str:
    """A design's Verilog without the contents of its ROMs: what two models have to share."""
    return _ROM.sub(lambda found: found[0].replace(found["words"], ""), text)


def patterned(text: str) -> tuple[str, list[Rom]]:
    """A design's Verilog with patterns in its ROMs, all of them in block RAM, and those ROMs."""
    pieces, roms, at = [], [], 0
    for found, rom in _roms(text):
        depth = -(-len(rom.words) // PATTERN) * PATTERN
        seed = hashlib.sha256(rom.key.encode()).digest()
        chance = random.Random(seed)
        made = Rom(rom.module, rom.name, rom.width, tuple(chance.getrandbits(rom.width) for _ in range(depth)))
        lines = "".join(f"    {rom.name}[{n}] = {rom.width}'h{word:x};\n" for n, word in enumerate(made.words))
        high = f"[{rom.width - 1}:0] " if found["high"] is not None else ""
        pieces += [
            text[at : found.start()],
            f'  (* rom_style = "block" *)\n  reg {high}{rom.name} [{depth - 1}:0];\n  initial begin\n{lines}  end\n',
        ]
        roms.append(made)
        at = found.end()
    return "".join([*pieces, text[at:]]), roms


def refuse_difference(placed: str, text: str, where: object) -> None:
    """Raise ValueError unless two designs differ in the contents of ROMs alone; names the first module that does."""
    ours, theirs = (_modules(skeleton(each)) for each in (text, placed))
    if ours == theirs:
        return
    missing = [name for name in dict.fromkeys((*theirs, *ours)) if name not in ours or name not in theirs]
    name = missing[0] if missing else next(name for name, body in ours.items() if body != theirs[name])
    what = "is there in one of the designs alone" if missing else "differs in more than the contents of ROMs"
    raise ValueError(f"{where}: module {name} {what}: other weights cannot take the place of its own")


def _modules(text: str) -> dict[str, str]:
    """The modules of a design's Verilog by name, and what stands before them as ""."""
    starts = [(0, ""), *((found.start(), found[1]) for found in _MODULE.finditer(text))]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return {name: text[start:end] for (start, name), end in zip(starts, ends, strict=True)}
