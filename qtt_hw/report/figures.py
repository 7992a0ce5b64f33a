"""What figures of Plotly have in common: rows whose names stand above them, and texts that are shown as they are.

Colours are names of the page's own, such as "var(--work)": the page puts those of the light or the dark side in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtt_hw.report.look import plain

__all__ = ["BAND", "row_names", "rows_layout"]

#: Of a row's height from its top: where its name stands, and between which two its bars do.
NAME, BAND = 0.02, (0.42, 0.92)
#: Pixels of a row, and of all else of such a figure.
ROW, AROUND = 36, 86


def row_names(names: Sequence[str], beside: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Annotations with the names of rows above them, on the left, and what is to be said beside, on the right."""
    found = []
    for number, name in enumerate(names):
        common = {"xref": "paper", "y": -number - NAME, "yanchor": "top", "showarrow": False, "font": {"size": 11}}
        found.append({**common, "x": 0, "xanchor": "left", "text": plain(name)})
        if beside:
            font = {"size": 11, "color": "var(--muted)"}
            found.append({**common, "x": 1, "xanchor": "right", "text": plain(beside[number]), "font": font})
    return found


def rows_layout(rows: int, **more: Any) -> dict[str, Any]:
    """The layout of a figure of so many rows: row n lies between -n and -n - 1."""
    return {
        "height": ROW * rows + AROUND,
        "margin": {"l": 0, "r": 0, "t": 34, "b": 44},
        "yaxis": {"range": [-rows, 0], "visible": False, "fixedrange": True},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        **more,
    }
