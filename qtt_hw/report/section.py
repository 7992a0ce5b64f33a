"""What a report is made of: sections of charts, tables and marked-up text, which pages and tests read alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Chart", "Grid", "Markup", "Part", "Section"]


@dataclass(frozen=True)
class Chart:
    """A figure of Plotly: its JSON-able dict of `data` and `layout`, with a title and a sentence on how to read it."""

    key: str
    title: str
    figure: dict[str, Any]
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """A table: column heads and rows of texts or numbers; numbers are aligned to the right."""

    key: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    note: str = ""


@dataclass(frozen=True)
class Markup:
    """HTML of our own making, such as the network's drawing; what comes from files in it is escaped by its maker."""

    key: str
    title: str
    html: str
    note: str = ""


Part = Chart | Grid | Markup


@dataclass(frozen=True)
class Section:
    """A part of the page under one heading; `key` is its anchor."""

    key: str
    title: str
    text: str
    parts: Sequence[Part]
