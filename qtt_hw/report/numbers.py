"""The report's section on numbers: what each stage puts out against its format, and where the noise comes from.

Two measures of noise have names of their own. `Signal-to-noise against float` compares the integers with the stages of
a run's prepared model in float. `Signal to rounding noise`, where there is no float network, compares them with the
same integer network in exact arithmetic, as `qtt_hw.graph.unrounded` defines it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qtt_hw.codebook import Codebook
from qtt_hw.data import Samples
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, Graph
from qtt_hw.graph.preprocess import preprocess
from qtt_hw.progress import Progress, silent
from qtt_hw.report.accuracy import drawn
from qtt_hw.report.histograms import of_formats, of_one_stage, weight_shares
from qtt_hw.report.look import AMBER, BLUE, GREY, figure, plain, rounded, rows_axis, rows_height
from qtt_hw.report.section import Chart, Grid, Part, Section
from qtt_hw.report.stages import StageFacts, as_floats, collect

if TYPE_CHECKING:
    from qtt_hw.lower.prepared import PreparedModel

__all__ = ["SAMPLES", "Loss", "number_sections"]

#: Samples that histograms are of.
SAMPLES: Final = 64
#: The share of a stage's values from which on clipping is drawn.
CLIPPED: Final = 1e-4

#: A layer, the accuracy lost when it alone is quantised, and that gained when all but it are; 0 to 1, None if unknown.
Loss = tuple[str, float | None, float | None]


def number_sections(
    graph: Graph,
    samples: Samples,
    count: int = SAMPLES,
    *,
    prepared: PreparedModel | None = None,
    inspection: Sequence[Loss] = (),
    progress: Progress = silent,
) -> list[Section]:
    """Histograms, clipped shares and noise of every stage, and what layers lose.

    Parameters
    ----------
    graph : Graph
    samples : Samples
        Raw, of which `count` are drawn.
    prepared : PreparedModel, optional
        That the graph was frozen from: noise is then against its stages in float.
    inspection : sequence of (layer, lost, gained)
        Shares of samples, as an inspection of the run found them.
    """
    x = preprocess(graph.input, samples.x[drawn(len(samples), count)])
    reference = None if prepared is None else as_floats(prepared, graph)
    facts = [each for each in collect(graph, x, reference, progress=progress) if not each.node.relabels]
    parts: list[Part] = [of_formats(facts), of_one_stage(facts), _noise(facts, prepared is not None)]
    if any(sum(each.clipped or ()) > CLIPPED for each in facts):
        parts.append(_clipping(facts))
    if inspection:
        parts.append(_losses(inspection))
    parts.append(_table(facts))
    text = (
        f"What the stages put out for {len(x)} samples, always the same ones. {_clipped_most(facts)} "
        f"{_noisiest(facts, prepared is not None)}"
    )
    return [Section("numbers", "Numbers", text.strip(), parts)]


def _clipped_most(facts: Sequence[StageFacts]) -> str:
    """A sentence on the stage that clips most."""
    shares = [(sum(each.clipped), each.node.name) for each in facts if each.clipped]
    share, name = max(shares, default=(0.0, ""))
    if share == 0:
        return "No value is clipped." if shares else ""
    return f"{name} clips most: {_said(share)} % of its values lie beyond its format."


def _said(share: float) -> str:
    """A share in percent, to two digits, all of it without an exponent."""
    return f"{100 * share:.0f}" if share >= 0.095 else f"{100 * share:.2g}"


def _noisiest(facts: Sequence[StageFacts], floats: bool) -> str:
    """A sentence on the stage at which most of the signal is lost."""
    drops: list[tuple[float, str]] = []
    before: dict[str, float] = {}
    for each in facts:
        found = each.signal_to_noise
        known = [before[name] for name in each.node.inputs if name in before]
        if found is not None and known:
            drops.append((min(known) - found, each.node.name))
        if found is not None:
            before[each.node.name] = found
    drop, name = max(drops, default=(0.0, ""))
    if drop < 1:
        return ""
    against = "signal-to-noise against float" if floats else "signal to rounding noise"
    return f"The {against} falls most at {name}, by {drop:.1f} dB."


def _noise(facts: Sequence[StageFacts], floats: bool) -> Chart:
    found = [each.signal_to_noise for each in facts]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [i for i, value in enumerate(found) if value is not None],
        "x": [round(value, 2) for value in found if value is not None],
        "marker": {"color": BLUE},
        "text": [plain(each.node.name) for each, value in zip(facts, found, strict=True) if value is not None],
        "textposition": "none",
        "hovertemplate": "%{text}: %{x} dB<extra></extra>",
    }
    if floats:
        title = "Signal-to-noise against float"
        note = (
            "The stages' outputs against those of the run's model in float, with the quantised weights: what rounding "
            "and clamping of activations and batch norm's integers amount to."
        )
    else:
        title = "Signal to rounding noise"
        note = (
            "The stages' outputs against the same integer network in exact arithmetic, in which no stage rounds or "
            "clamps: what that amounts to. How weights were quantised is not in it."
        )
    exact = sum(value is None for value in found)
    note += " 6 dB are a bit; a row that falls far below the one before is where precision is lost."
    if exact:
        note += f" {exact} stages are exact, or all 0, and have no bar."
    axis = {"ticksuffix": " dB", "rangemode": "tozero", "zeroline": False}
    names = (each.node.name for each in facts)
    margin = {"l": 52, "r": 24, "t": 8, "b": 32}
    return Chart(
        "noise", title, figure([bars], rows_height(len(facts)), xaxis=axis, yaxis=rows_axis(names), margin=margin), note
    )


def _clipping(facts: Sequence[StageFacts]) -> Chart:
    shown = [each for each in facts if sum(each.clipped or ()) > CLIPPED]
    shares = [each.clipped or (0.0, 0.0) for each in shown]

    def bars(name: str, side: int, colour: str) -> dict[str, Any]:
        return {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": list(range(len(shown))),
            "x": rounded((100 * share[side] for share in shares), 3),
            "marker": {"color": colour},
            "text": [plain(each.node.name) for each in shown],
            "textposition": "none",
            "hovertemplate": f"%{{text}}: %{{x}} % {name}<extra></extra>",
        }

    others = sum(each.clipped is not None for each in facts) - len(shown)
    return Chart(
        "clipping",
        "Clipped values",
        figure(
            [bars("below the least", 0, BLUE), bars("above the greatest", 1, AMBER)],
            rows_height(len(shown)) + 24,
            xaxis={"ticksuffix": " %", "rangemode": "tozero", "zeroline": False, "exponentformat": "none"},
            yaxis=rows_axis(each.node.name for each in shown),
            barmode="stack",
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
            margin={"l": 52, "r": 24, "t": 32, "b": 32},
        ),
        "The share of outputs that lay beyond their format and were clamped to its ends, as training chose: a scale "
        f"that clips rare values has finer steps for the others. {others} further "
        f"{'stage clips' if others == 1 else 'stages clip'} less than {100 * CLIPPED:g} %.",
    )


def _losses(inspection: Sequence[Loss]) -> Chart:
    """The accuracy that layers cost, from an inspection."""

    def bars(name: str, side: int, colour: str) -> dict[str, Any]:
        shown = [(row, each[side]) for row, each in enumerate(inspection)]
        return {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": [row for row, value in shown if value is not None],
            "x": [round(100 * float(value), 3) for _, value in shown if value is not None],
            "marker": {"color": colour},
            "hovertemplate": "%{x} points<extra></extra>",
        }

    return Chart(
        "losses",
        "Accuracy lost by layer",
        figure(
            [bars("lost when it alone is quantised", 1, AMBER), bars("gained when it alone is not", 2, BLUE)],
            70 + 34 * max(len(inspection), 2),
            xaxis={"title": {"text": "points of accuracy"}, "zeroline": True, "zerolinecolor": GREY},
            yaxis=rows_axis(each[0] for each in inspection),
            barmode="group",
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
            margin={"l": 52, "r": 24, "t": 48, "b": 44},
        ),
        "As the inspection measured it; differences of a few samples are chance.",
    )


def _name(fmt: Format) -> str:
    """A format in a few words."""
    return f"{'s' if fmt.signed else 'u'}{fmt.bits}, step 2^{-fmt.frac}"


def _whole(text: str) -> str:
    """Text that is not broken over lines."""
    return text.replace(" ", "\u00a0")


def _share(share: float) -> str:
    """A share in percent, of which what is above nothing is never nothing."""
    return "< 0.01" if 0 < share < 1e-4 else f"{100 * share:.2f}"


def _table(facts: Sequence[StageFacts]) -> Grid:
    rows = []
    for each in facts:
        clipped = each.clipped
        held = np.flatnonzero(each.counts)
        low, high = (int(each.codes[i]) for i in (held[0], held[-1])) if len(held) else (0, 0)
        places, shares = weight_shares(each)
        node = each.node
        weights = None
        if isinstance(node, Contraction):
            kind = "codes" if isinstance(node.weight_format, Codebook) else "bits"
            weights = f"{node.weight.size} of {node.weight_format.bits} {kind}"
            weights = _whole(weights.replace("codes", "bits, powers of two"))
        noise = each.signal_to_noise
        rows.append(
            (
                node.name,
                _whole(_name(each.edge.format)),
                _whole(f"{low} to {high}"),
                _share(each.codes_used),
                _share(each.zeros),
                None if clipped is None else _share(clipped[0]),
                None if clipped is None else _share(clipped[1]),
                None if noise is None else f"{noise:.1f}",
                weights,
                _share(sum(share > 0 for share in shares) / len(places)) if places else None,
            )
        )
    header = (
        "stage",
        "format",
        "integers",
        "of its codes %",
        "zeros %",
        "clipped below %",
        "above %",
        "signal to noise dB",
        "weights",
        "of their codes %",
    )
    note = "u8 is unsigned of 8 bits, s8 signed. Clipped is left out where a stage has no scale of its own, or 16 bits."
    return Grid("stages", "Every stage", header, rows, note)
