"""Figures of the report as Plotly reads them: every property is one that Plotly has."""

from __future__ import annotations

import json
from collections.abc import Sequence

from qtt_hw.report.section import Chart, Grid, Markup, Section

__all__ = ["charts", "check"]


def charts(sections: Sequence[Section]) -> dict[str, Chart]:
    """The figures of sections by their keys."""
    return {part.key: part for section in sections for part in section.parts if isinstance(part, Chart)}


def check(sections: Sequence[Section]) -> None:
    """Keys are unlike each other, texts say something, tables are even, and figures pass Plotly's own schema."""
    import plotly.graph_objects as go

    parts = [part for section in sections for part in section.parts]
    keys = [section.key for section in sections] + [f"part {part.key}" for part in parts]
    assert len(set(keys)) == len(keys)
    assert all(section.title and section.text.endswith(".") and section.parts for section in sections)
    for part in parts:
        assert part.title and not part.title.endswith(".")
        assert not part.note or part.note.endswith(".")
        if isinstance(part, Grid):
            assert all(len(row) == len(part.header) for row in part.rows)
        elif isinstance(part, Markup):
            assert part.html.count("<figure>") == part.html.count("</figure>")
        else:
            assert json.loads(json.dumps(part.figure, allow_nan=False)) == part.figure
            drawn = go.Figure(part.figure)
            assert any(len(trace.to_plotly_json()) > 1 for trace in drawn.data)
