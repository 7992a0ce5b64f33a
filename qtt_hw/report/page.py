"""The page: sections as one HTML file with all that it needs, Plotly included; it asks no network for anything.

What a policy in its head forbids, no text of a file can make it do either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files

from qtt_hw.report.section import Chart, Grid, Markup, Part, Section
from qtt_hw.report.texts import count, escaped

__all__ = ["MARK", "Fact", "page", "plotly_script"]

#: What a report of ours begins with.
MARK = '<!doctype html>\n<html lang="en" data-made-by="qtt report">'
#: Scripts and styles are those of the page itself; of 3D figures some are compiled in the browser.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; worker-src blob:; base-uri 'none'; form-action 'none'"
)
#: A digest: shown in a narrow face, and broken where it must be.
_DIGEST = re.compile("[0-9a-f]{40,}")

#: A figure at the top of the page: its value, and what it is.
Fact = tuple[str, str]


def plotly_script() -> str:
    """The whole of plotly.js, from the package; raises ValueError naming what to install where it is missing."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ValueError("the report's figures need the package plotly: pip install 'qtt-hw[report]'") from None
    script: str = get_plotlyjs()
    return script


def page(title: str, made: str, lead: str, facts: Sequence[Fact], sections: Sequence[Section]) -> str:
    """The text of the file.

    Parameters
    ----------
    title : str
        The network's name.
    made : str
        Above it: of what the report is.
    lead : str
        Below it: a sentence.
    facts : sequence of (value, name)
    sections : sequence of Section
    """
    charts = {_place(s, part): part.figure for s in sections for part in s.parts if isinstance(part, Chart)}
    links = "".join(f'<a href="#{escaped(section.key)}">{escaped(section.title)}</a>' for section in sections)
    told = "".join(f"<div><b>{escaped(value)}</b><span>{escaped(name)}</span></div>" for value, name in facts)
    # A "<" in a figure's text would otherwise be able to end the script that holds it.
    figures = json.dumps(charts, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    own = files("qtt_hw.report")
    style, script = ((own / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return "\n".join(
        [
            f"{MARK}<head><meta charset='utf-8'>",
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            "<meta name='viewport' content='width=device-width, initial-scale=1'>",
            f"<title>{escaped(title)} \u00b7 qtt report</title>",
            f"<style>{style}</style></head><body>",
            f'<header><p class="made">{escaped(made)}</p><h1>{escaped(title)}</h1><p class="lead">{escaped(lead)}</p>',
            f'<div class="facts">{told}</div></header><nav aria-label="Sections"><div>{links}</div></nav><main>',
            *(_section(section) for section in sections),
            "</main><footer>Made by qtt report. Figures by Plotly.js (MIT licence), a part of this file.</footer>",
            f"<script>{plotly_script()}</script>",
            f'<script type="application/json" id="figures">{figures}</script>',
            f"<script>{script}</script></body></html>\n",
        ]
    )


def _place(section: Section, part: Part) -> str:
    return f"{section.key}-{part.key}"


def _section(section: Section) -> str:
    parts = "".join(_part(section, part) for part in section.parts)
    return (
        f'<section id="{escaped(section.key)}"><h2>{escaped(section.title)}</h2>'
        f"<p>{escaped(section.text)}</p>{parts}</section>"
    )


def _part(section: Section, part: Part) -> str:
    place = escaped(_place(section, part))
    head = f"<h3>{escaped(part.title)}</h3>" if part.title else ""
    head += f'<p class="note">{escaped(part.note)}</p>' if part.note else ""
    if isinstance(part, Chart):
        label = escaped(part.title or part.key)
        inner = (
            f'<div class="card"><div class="chart" role="img" aria-label="{label}" data-chart="{place}"></div></div>'
        )
    elif isinstance(part, Grid):
        inner = _grid(part)
    else:
        assert isinstance(part, Markup)
        inner = part.html
    return f'<div class="part" id="{place}">{head}{inner}</div>'


def _grid(grid: Grid) -> str:
    """A table; columns of numbers are aligned to the right, their heads with them."""
    numeric = [
        any(isinstance(row[column], int | float) for row in grid.rows)
        and all(isinstance(row[column], int | float | None) for row in grid.rows)
        for column in range(len(grid.header))
    ]
    # Shares and the like are texts that are mostly digits.
    numeric = [
        is_number or all(re.fullmatch(r"[-+\u2013\u2212<]? ?[\d.\u202f%]*", str(row[column])) for row in grid.rows)
        for column, is_number in enumerate(numeric)
    ]
    head = "".join(
        f'<th scope="col"{" class=num" if right else ""}>{escaped(name)}</th>'
        for name, right in zip(grid.header, numeric, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(value, right) for value, right in zip(row, numeric, strict=True))}</tr>"
        for row in grid.rows
    )
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(value: str | int | float | None, right: bool) -> str:
    if value is None:
        text = "\u2013" if right else ""
    elif isinstance(value, float):
        text = count(value, 0 if value.is_integer() else 2)
    elif isinstance(value, int):
        text = count(value)
    else:
        text = value
    kind = " class=num" if right else " class=hash" if _DIGEST.fullmatch(text) else ""
    return f"<td{kind}>{escaped(text)}</td>"
