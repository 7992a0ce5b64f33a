"""The documents as the tests read them: pages, their fenced blocks, the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "ROOT", "Block", "blocks", "commands", "pages", "prose"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the name of the file that it is, if one, and its text."""

    language: str
    title: str | None
    text: str


def pages() -> list[Path]:
    """README.md and every page of the site."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page, in order, of all languages or of some."""
    found = [Block(m[1], m[2], m[3]) for m in _FENCE.finditer(page.read_text(encoding="utf-8"))]
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """A page without its fenced blocks, and without comments but those that the site fills in."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"<!--(?! from the code:).*?-->", "", text, flags=re.DOTALL)


def commands(page: Path) -> Iterator[str]:
    """The command lines of a page: in its consoles, and in its text as code that begins with `qtt` and a verb."""
    for block in blocks(page, "console"):
        yield from (line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ "))
    for code in re.findall(r"`(qtt [a-z][^`]*)`", prose(page)):
        yield " ".join(code.split())
