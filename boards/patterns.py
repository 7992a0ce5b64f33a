"""A design that takes other weights, on its way to a bitstream: placed with patterns, then filled with contents."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from boards.exchange import fill_configuration, fill_netlist, find_blocks
from boards.synthesis import NETLIST
from qtt_hw.errors import named
from rtl_gen.contents import Rom, contents_of, patterned, skeleton
from rtl_gen.families import Family, contents_in
from rtl_gen.manifest import Manifest

__all__ = ["PATTERN_NETLIST", "PATTERN_PLACED", "Patterns"]

#: Netlist and placed design with patterns, which the next weights are put into.
PATTERN_NETLIST, PATTERN_PLACED = "pattern.json", "pattern.config"


class Patterns:
    """The sources of a BUILD that was emitted to take other weights.

    Parameters
    ----------
    build : Path
    manifest : Manifest
    family : Family
    *more : str
        More Verilog, which may have ROMs too: the board's top level.

    Attributes
    ----------
    patterns, contents : list of Rom
        What stands in the ROMs of the placed design, and what the model wants there.
    """

    def __init__(self, build: Path, manifest: Manifest, family: Family, *more: str):
        self.check(build, manifest, family)
        with named(build):
            files = [build / name for name in manifest.sources.of(family)]
        self._family = family
        self._texts = [*(file.read_text(encoding="utf-8") for file in files), *more]
        self.patterns: list[Rom] = []
        self.contents: list[Rom] = []
        self._patterned = []
        for text in self._texts:
            made, roms = patterned(text)
            self._patterned.append(made)
            self.patterns += roms
            self.contents += contents_of(text)

    @staticmethod
    def check(build: Path, manifest: Manifest, family: Family) -> None:
        """Raise ValueError where a BUILD takes no other weights."""
        if not manifest.exchangeable:
            raise ValueError(f"{build}: was not made to take other weights; emit it with --exchangeable, or --like")
        with named(build):
            contents_in(family)

    def sources(self, work: Path) -> list[Path]:
        """The Verilog with patterns, written into a work folder."""
        found = [work / f"pattern{number}.v" for number in range(len(self._texts))]
        for path, text in zip(found, self._patterned, strict=True):
            path.write_text(text, encoding="utf-8")
        return found

    @property
    def digest(self) -> str:
        """Of what the placed design depends on: all Verilog but for the contents of ROMs."""
        found = hashlib.sha256()
        for text in map(skeleton, self._texts):
            found.update(len(text).to_bytes(8, "little") + text.encode())
        return found.hexdigest()

    def fill(self, work: Path, top: str, placed: str | None = None) -> None:
        """From the netlist with patterns, in a work folder, make that with the model's weights.

        With the name of a placed design, that one too.
        """
        netlist = json.loads((work / PATTERN_NETLIST).read_text(encoding="utf-8"))
        blocks = find_blocks(netlist, top, self.patterns, self._family)
        fill_netlist(netlist, top, blocks, self.contents, self._family)
        (work / NETLIST).write_text(json.dumps(netlist, separators=(",", ":")), encoding="utf-8")
        if placed is not None:
            text = (work / PATTERN_PLACED).read_text(encoding="utf-8")
            (work / placed).write_text(fill_configuration(text, blocks, self.contents, self._family), encoding="utf-8")
