"""Charts of what stages put out against their formats: all of them at a glance, and one at a time with its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction
from qtt_hw.report.look import AMBER, BLUE, GREEN, figure, plain, rounded, rows_axis, rows_height
from qtt_hw.report.section import Chart
from qtt_hw.report.stages import StageFacts

__all__ = ["kind_of", "of_formats", "of_one_stage", "weight_shares"]

#: Columns of the chart of all formats, bars of one histogram, and shares below which a column is as good as empty.
COLUMNS, BARS, LEAST = 96, 256, 1e-6


def of_formats(facts: Sequence[StageFacts]) -> Chart:
    """All stages at a glance: where in its format each one's values lie."""
    edges = np.linspace(-1, 1, COLUMNS + 1)
    z, said = [], []
    for each in facts:
        fmt = each.edge.format
        share = _spread(each.counts, fmt)
        column = np.where(share > LEAST, share, np.nan)
        z.append([None if math.isnan(v) else round(math.log10(100 * v), 2) for v in column])
        said.append([f"{100 * v:.2g}" if v > LEAST else "" for v in share])
    middles = (edges[:-1] + edges[1:]) / 2
    ticks = {-3: "0.001 %", -1: "0.1 %", 1: "10 %"}
    heat = {
        "type": "heatmap",
        "x": rounded(middles.tolist(), 3),
        "y": list(range(len(facts))),
        "z": z,
        "text": said,
        "hovertemplate": "%{text} % of the stage's values<extra></extra>",
        "hoverongaps": False,
        "colorscale": [[0, "rgba(79,131,204,0.10)"], [1, "rgba(79,131,204,1)"]],
        "zmin": -3,
        "zmax": 2,
        "ygap": 2,
        "colorbar": {
            "orientation": "h",
            "thickness": 8,
            "len": 0.9,
            "y": 0,
            "yanchor": "top",
            "ypad": 34,
            "outlinewidth": 0,
            "tickvals": sorted(ticks),
            "ticktext": [ticks[key] for key in sorted(ticks)],
            "tickfont": {"size": 10},
            "tickangle": 0,
        },
    }
    line = {"color": AMBER, "width": 1.5}
    ends = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}
        for at in (-1, 1)
    ]
    axis = {
        "range": [-1.02, 1.02],
        "tickvals": [-1, -0.5, 0, 0.5, 1],
        "ticktext": ["least", "", "0", "", "greatest"],
        "zeroline": True,
        "zerolinewidth": 1,
    }
    return Chart(
        "formats",
        "Where values lie in their formats",
        figure(
            [heat],
            rows_height(len(facts)) + 50,
            xaxis=axis,
            yaxis=rows_axis(each.node.name for each in facts),
            shapes=ends,
            margin={"l": 52, "r": 24, "t": 8, "b": 84},
        ),
        "A row is a stage in the order in which they run; the amber lines are the ends of its format, and the "
        "fuller a place's colour, the more values. Rows that fill a part only waste bits; rows full at a line clip.",
    )


def _spread(counts: NDArray[np.int64], fmt: Format) -> NDArray[np.float64]:
    """The share of values in each of COLUMNS columns from -1 to 1, the format's greatest magnitude being 1."""
    # A code takes the place from itself to the next one; 0 and up end at 1, below 0 begin at -1.
    unit = float(fmt.maximum + 1)
    total = max(int(counts.sum()), 1)
    share = np.concatenate([[0.0], np.cumsum(counts / total)])
    starts = np.arange(fmt.minimum, fmt.maximum + 2) / unit
    return np.diff(np.interp(np.linspace(-1, 1, COLUMNS + 1), starts, share))


def of_one_stage(facts: Sequence[StageFacts]) -> Chart:
    """One stage at a time, chosen from a menu: how often each integer, and each weight."""
    data: list[dict[str, Any]] = []
    buttons = []
    for index, each in enumerate(facts):
        data += [_outputs(each, not index), _beyond(each, not index), _weights(each, not index)]
        visible = [other // 3 == index for other in range(3 * len(facts))]
        changes = {f"{axis}.{key}": value for axis, to in _axes(each).items() for key, value in to.items()}
        changes["shapes"] = _ends(each)
        buttons.append(
            {"label": plain(each.node.name, 40), "method": "update", "args": [{"visible": visible}, changes]}
        )
    menu = {
        "type": "dropdown",
        "buttons": buttons,
        "x": 0,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
        "pad": {"b": 14, "l": 0},
        # Plotly draws the chosen entry on a light ground whatever the page's.
        "bgcolor": "#f4f6fa",
        "bordercolor": "#c3cad6",
        "font": {"color": "#27303d", "size": 12},
    }
    axes = _axes(facts[0]) if facts else {"xaxis": {}, "xaxis2": {}}
    powers = (0.001, 0.01, 0.1, 1, 10, 100)
    share = {"type": "log", "range": [-3.3, 2.1], "tickvals": list(powers), "automargin": True, "zeroline": False}
    share["ticktext"] = [f"{power:g} %" for power in powers]
    return Chart(
        "histograms",
        "One stage's integers and weights",
        figure(
            data,
            520,
            xaxis={"anchor": "y", "title": {"text": "integers of the output"}, "zeroline": False} | axes["xaxis"],
            yaxis={"domain": [0.58, 1.0]} | share,
            xaxis2={"anchor": "y2", "title": {"text": "weights"}, "zeroline": False, "domain": [0, 1]} | axes["xaxis2"],
            yaxis2={"domain": [0.0, 0.36]} | {"ticksuffix": " %", "automargin": True, "rangemode": "tozero"},
            shapes=_ends(facts[0]) if facts else [],
            updatemenus=[menu],
            margin={"l": 56, "r": 16, "t": 64, "b": 48},
            bargap=0,
        ),
        "The share of values at each integer, on a scale of powers of ten. Amber lines are the format's ends; amber "
        "bars stand for what lay beyond them and was clamped; pale ones for a ReLU's negative values, which became 0.",
    )


def _binned(each: StageFacts) -> tuple[list[float], list[float], int]:
    """Middles, shares in percent and width of at most BARS bars."""
    fmt, width = each.edge.format, max(1, -(-len(each.counts) // BARS))
    counts = np.pad(each.counts, (0, -len(each.counts) % width)).reshape(-1, width).sum(axis=1)
    held = np.flatnonzero(counts)
    middles = fmt.minimum + held * width + (width - 1) / 2
    return middles.tolist(), rounded((100 * counts[held] / max(each.values, 1)).tolist(), 3), width


def _outputs(each: StageFacts, visible: bool) -> dict[str, Any]:
    x, y, width = _binned(each)
    return {
        "type": "bar",
        "x": x,
        "y": y,
        "width": width,
        "marker": {"color": BLUE, "line": {"width": 0}},
        "hovertemplate": "%{x}: %{y} %<extra></extra>",
        "visible": visible,
    }


def _beyond(each: StageFacts, visible: bool) -> dict[str, Any]:
    """What was clamped, beside the format's ends."""
    fmt, wide = each.edge.format, len(each.counts) / 40
    ends = [(fmt.minimum - 0.5 - wide, each.below, "below"), (fmt.maximum + 0.5 + wide, each.above, "above")]
    shown = [(at, 100 * n / max(each.values, 1), f"{side} the format") for at, n, side in ends if n]
    if each.rectified:
        shown = [(at, y, text.replace("below the format", "negative, 0 after ReLU")) for at, y, text in shown]
    return {
        "type": "bar",
        "x": [at for at, _, _ in shown],
        "y": rounded((y for _, y, _ in shown), 3),
        "width": wide,
        "marker": {"color": AMBER, "opacity": [0.45 if "ReLU" in text else 1.0 for _, _, text in shown]},
        "text": [text for _, _, text in shown],
        "textposition": "none",
        "hovertemplate": "%{text}: %{y} %<extra></extra>",
        "visible": visible,
    }


def _weights(each: StageFacts, visible: bool) -> dict[str, Any]:
    """How often each weight; of a codebook by its place among the integers that have codes."""
    x, share = weight_shares(each)
    return {
        "type": "bar",
        "x": x,
        "y": share,
        "width": 0.8 if len(x) <= 64 else 1,
        "marker": {"color": GREEN, "line": {"width": 0}},
        "text": [_weight_name(each, place) for place in x],
        "textposition": "none",
        "hovertemplate": "%{text}: %{y} %<extra></extra>",
        "xaxis": "x2",
        "yaxis": "y2",
        "visible": visible,
    }


def _values(fmt: Format | Codebook) -> NDArray[np.int64]:
    """Every integer of a format or a codebook, ascending."""
    if isinstance(fmt, Codebook):
        size = np.int64(1) << np.arange(fmt.magnitudes)
        return np.concatenate([-size[::-1], [0] if fmt.zero else [], size]).astype(np.int64)
    return np.arange(fmt.minimum, fmt.maximum + 1)


def weight_shares(each: StageFacts) -> tuple[list[int], list[float]]:
    """Places on the weights' axis and shares in percent: integers themselves, or of a codebook their order."""
    node = each.node
    if not isinstance(node, Contraction):
        return [], []
    values = _values(node.weight_format)
    counts = np.bincount(np.searchsorted(values, node.weight.reshape(-1)), minlength=len(values))
    places = range(len(values)) if isinstance(node.weight_format, Codebook) else values.tolist()
    return list(places), rounded((100 * counts / node.weight.size).tolist(), 3)


def _weight_name(each: StageFacts, place: int) -> str:
    node = each.node
    assert isinstance(node, Contraction)
    if isinstance(node.weight_format, Codebook):
        return str(_values(node.weight_format)[place])
    return str(place)


def _axes(each: StageFacts) -> dict[str, dict[str, Any]]:
    """What a stage's integers and weights need of their axes."""
    fmt, room = each.edge.format, len(each.counts) / 18
    axes: dict[str, dict[str, Any]] = {"xaxis": {"range": [fmt.minimum - room, fmt.maximum + room]}}
    node = each.node
    if not isinstance(node, Contraction):
        text = f"no weights: {kind_of(each)}"
        axes["xaxis2"] = {"range": [-1, 1], "tickmode": "array", "tickvals": [], "ticktext": [], "title.text": text}
        return _nested(axes)
    weights = _values(node.weight_format)
    if isinstance(node.weight_format, Codebook):
        names = [
            f"{'-' if v < 0 else ''}2<sup>{int(abs(v)).bit_length() - 1}</sup>" if v else "0" for v in weights.tolist()
        ]
        step = -(-len(names) // 16)
        axes["xaxis2"] = {
            "range": [-1, len(weights)],
            "tickmode": "array",
            "tickvals": list(range(0, len(weights), step)),
            "ticktext": names[::step],
            "title.text": f"weights, codes of {node.weight_format.bits} bits",
        }
    else:
        low, high = node.weight_format.minimum, node.weight_format.maximum
        axes["xaxis2"] = {
            "range": [low - 1, high + 1],
            "tickmode": "auto",
            "tickvals": None,
            "ticktext": None,
            "title.text": f"weights, {node.weight_format.bits} bits",
        }
    return _nested(axes)


def _nested(axes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Titles as Plotly's layouts have them; its updates take them alike."""
    for axis in axes.values():
        if "title.text" in axis:
            axis["title"] = {"text": axis.pop("title.text")}
    return axes


def _ends(each: StageFacts) -> list[dict[str, Any]]:
    """Lines at the ends of the output's format."""
    fmt = each.edge.format
    line = {"color": AMBER, "width": 1.5}
    return [
        {"type": "line", "xref": "x", "yref": "y domain", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}
        for at in (fmt.minimum - 0.5, fmt.maximum + 0.5)
    ]


def kind_of(each: StageFacts) -> str:
    """What a stage's kind is called."""
    node: Any = each.node
    return str(getattr(node, "kind", type(node).__name__.lower()))
