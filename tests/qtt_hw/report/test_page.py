"""The page: numbers that stand to the right, figures by their place, and what it says where Plotly is missing."""

from __future__ import annotations

import sys

import pytest

from qtt_hw.report import page as module
from qtt_hw.report.page import MARK, page, plotly_script
from qtt_hw.report.section import Chart, Grid, Markup, Section


def made(*parts: Chart | Grid | Markup) -> str:
    section = Section("one", "One & two", "A sentence.", parts)
    return page("net", "Model net.qtt", "Ten classes.", [("1", "fact")], [section])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the megabytes of Plotly."""
    monkeypatch.setattr(module, "plotly_script", lambda: "/* plotly.js */")


def test_a_page_has_its_sections_its_figures_and_a_policy() -> None:
    text = made(
        Chart("figure", "A figure", {"data": [{"x": [1], "text": "</script>"}], "layout": {}}, "How to read it.")
    )
    assert text.startswith(MARK) and text.count("<section") == 1 and '<a href="#one">One &amp; two</a>' in text
    assert '"one-figure":{"data":[{"x":[1],"text":"\\u003c/script>"}],"layout":{}}' in text
    assert 'data-chart="one-figure"' in text and "How to read it." in text
    assert "default-src 'none'" in text and "connect-src" not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text


def test_columns_of_numbers_stand_to_the_right() -> None:
    rows = [["a", 12345, 0.5, "12\u202f%", None], ["b", None, 2.0, "\u2013", "text"]]
    text = made(Grid("table", "A table", ["name", "n", "x", "share", "more"], rows))
    assert "<td class=num>12\u202f345</td><td class=num>0.50</td><td class=num>12\u202f%</td><td></td>" in text
    assert "<td class=num>\u2013</td><td class=num>2</td>" in text
    assert '<th scope="col" class=num>n</th>' in text and '<th scope="col">more</th>' in text


def test_what_is_no_number_in_a_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        made(Chart("figure", "A figure", {"data": [{"x": [float("nan")]}]}))


def test_without_plotly_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(
        ValueError, match=r"^the report's figures need the package plotly: pip install 'qtt-hw\[report\]'$"
    ):
        plotly_script()
