"""A reader of VCD files, and the transfers that it finds of a stream in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Trace"]


class Trace:
    """Every signal of a VCD by its path, and its value at the end of each cycle.

    Attributes
    ----------
    bits : dict of str to int
        Width of each signal.
    names : set of str
        The signals' paths, with their range where they have more than one bit, as GTKWave has them.
    """

    def __init__(self, path: Path):
        self._codes: dict[str, str] = {}
        self.bits: dict[str, int] = {}
        self.names: set[str] = set()
        scopes: list[str] = []
        header, self._changes = path.read_text().split("$enddefinitions $end", 1)
        for kind, text in re.findall(r"\$(scope|upscope|var)\s(.*?)\s*\$end", header, re.DOTALL):
            if kind == "scope":
                scopes.append(text.split()[1])
            elif kind == "upscope":
                scopes.pop()
            else:
                _, bits, code, name, *span = text.split()
                signal = ".".join([*scopes, name])
                self._codes[signal], self.bits[signal] = code, int(bits)
                self.names.add(signal + "".join(span))

    def cycles(self, root: str, *signals: str) -> Iterator[tuple[int, ...]]:
        """Of each cycle its number and the values of signals as the clock rises behind it, unsigned; -1 is unknown."""
        codes = [self._codes[f"{root}.{name}"] for name in ("clk", "cycle", *signals)]
        values = dict.fromkeys(codes, -1)
        for moment in re.split(r"^#\d+\n", self._changes, flags=re.MULTILINE):
            found = re.findall(r"^(?:b(\w+) |([01xz]))(\S+)$", moment, re.MULTILINE)
            changed = {code: text or bit for text, bit, code in found if code in values}
            if changed.get(codes[0]) == "1" and values[codes[1]] >= 0:
                yield self._cycle(codes, values)
            values |= {code: int(text, 2) if set(text) <= {"0", "1"} else -1 for code, text in changed.items()}
        yield self._cycle(codes, values)

    @staticmethod
    def _cycle(codes: list[str], values: dict[str, int]) -> tuple[int, ...]:
        cycle, *others = (values[code] for code in codes[1:])
        return cycle - (cycle >> 31 << 32), *others

    def begins(self, root: str) -> Iterator[tuple[int, int]]:
        """The time at which each cycle's number changes, and that number."""
        code = self._codes[f"{root}.cycle"]
        pattern = rf"^#(\d+)\n(?:[^#].*\n)*?b([01]+) {re.escape(code)}$"
        for time, value in re.findall(pattern, self._changes, re.MULTILINE):
            yield int(time), int(value, 2)
