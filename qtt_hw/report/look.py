"""How figures of rows, bars and maps look: Plotly's JSON as plain dicts, in the page's own colours, light or dark.

Colours of data are the page's by name, as "var(--work)"; those of text, paper and grid are its template's. Scales of
colours have no names, so theirs are of a middle tone that is seen on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any, Final

from qtt_hw.errors import short

__all__ = [
    "AMBER",
    "BLUE",
    "FADING_AMBER",
    "FADING_BLUE",
    "GREEN",
    "GREY",
    "TEXT_GREY",
    "figure",
    "plain",
    "rounded",
    "rows_axis",
    "rows_height",
]

BLUE: Final = "var(--work)"
AMBER: Final = "var(--amber)"
GREEN: Final = "var(--pool)"
GREY: Final = "var(--other)"
#: Of text where the template's colour is not taken.
TEXT_GREY: Final = "var(--muted)"
#: From nothing to a colour through which text is still read.
FADING_BLUE: Final = [[0, "rgba(79,131,204,0.05)"], [1, "rgba(79,131,204,0.60)"]]
FADING_AMBER: Final = [[0, "rgba(212,150,50,0.14)"], [1, "rgba(212,150,50,0.85)"]]

#: Characters of a name beside an axis, and pixels of a row in a chart of rows.
LONGEST_NAME, ROW = 26, 19


def figure(data: Iterable[dict[str, Any]], height: int, **layout: Any) -> dict[str, Any]:
    """A figure of a height in pixels that is as wide as its place."""
    common: dict[str, Any] = {
        "height": height,
        "autosize": True,
        "margin": {"l": 52, "r": 12, "t": 12, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "bargap": 0.25,
    }
    return {"data": list(data), "layout": common | layout}


def plain(text: object, longest: int = 80) -> str:
    """A name from a file as text in a figure, where markup would be followed."""
    return escape(short(text, longest), quote=False)


def rows_axis(names: Iterable[object]) -> dict[str, Any]:
    """The axis of a chart with a row for each name, the first on top; rows are numbered from 0."""
    named = [plain(name, LONGEST_NAME) for name in names]
    return {
        "tickvals": list(range(len(named))),
        "ticktext": named,
        "range": [len(named) - 0.5, -0.5],
        "automargin": True,
        "ticks": "",
        "showgrid": False,
        "zeroline": False,
        "tickfont": {"size": 11},
    }


def rows_height(rows: int) -> int:
    """Of a chart of rows, in pixels."""
    return 70 + ROW * max(rows, 2)


def rounded(values: Iterable[float], digits: int = 4) -> list[float]:
    """Numbers of so many digits, which are shorter in the file."""
    return [float(f"{value:.{digits}g}") for value in values]
