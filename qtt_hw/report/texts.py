"""Words and numbers of a report: formats, kinds of stage, counts with their thousands apart, and escaped markup."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import (
    Add,
    Concatenation,
    Contraction,
    Edge,
    Multiplication,
    Node,
    Permutation,
    Pool,
    Slice,
    Table,
)
from rtl_gen.multiplier import LaneKind

__all__ = [
    "Row",
    "count",
    "described",
    "escaped",
    "format_text",
    "group_of",
    "mean_cycles",
    "rows_html",
    "share",
    "sizes",
]

#: A row of a table.
Row = list[str | int | float | None]

#: A narrow space that does not break, between thousands.
THIN = "\u202f"

_RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")

#: How products are formed, by a folding's `multiplier`.
LANES: dict[LaneKind, str] = {
    "dsp": "one product a multiplier",
    "packed": "two products a multiplier",
    "dual": "two products a multiplier, in its halves",
    "logic": "products in LUTs",
    "shift": "shifts, no multiplier",
}


def escaped(text: object) -> str:
    """Text as it may stand in markup, attributes included."""
    return html.escape(str(text), quote=True)


def count(value: float | None, digits: int = 0) -> str:
    """A number with its thousands apart, or a dash."""
    return "\u2013" if value is None else f"{value:,.{digits}f}".replace(",", THIN)


def mean_cycles(cycles: Fraction) -> str:
    """A mean number of cycles, to two digits where it is not whole."""
    return count(float(cycles), 0 if cycles.denominator == 1 else 2)


def share(part: float | None, digits: int = 0) -> str:
    """A share in percent, or a dash; what is above nothing is never nothing."""
    if part is None:
        return "\u2013"
    least = 10.0**-digits
    if 0 < 100 * part < least:
        return f"< {least:.{digits}f}{THIN}%"
    return f"{100 * part:.{digits}f}{THIN}%"


def sizes(values: Iterable[int]) -> str:
    """Sizes of axes."""
    return "\u00d7".join(str(value) for value in values)


def format_text(fmt: Format | Codebook) -> str:
    """An integer format: bits, sign, and what a step is worth."""
    step = "1" if fmt.frac == 0 else f"2{str(-fmt.frac).translate(_RAISED)}"
    if isinstance(fmt, Codebook):
        zero = " and 0" if fmt.zero else ""
        return f"{fmt.bits} bit codes, {fmt.magnitudes} powers of two from {step} on{zero}"
    return f"{fmt.bits} bit, {'signed' if fmt.signed else 'unsigned'}, steps of {step}"


def group_of(node: Node) -> str:
    """The kind of a stage as the drawing colours it."""
    return _KINDS[type(node)][0] if type(node) in _KINDS else "other"


def described(node: Node, x: Edge, out: Edge) -> str:
    """What a stage computes, in a few words."""
    return _KINDS[type(node)][1](node, x, out) if type(node) in _KINDS else type(node).__name__.lower()


#: By the class of a stage: its group, and what it computes, given what it reads and makes.
_KINDS: dict[type[Node], tuple[str, Callable[[Any, Edge, Edge], str]]] = {
    Contraction: (
        "contraction",
        lambda node, x, out: f"{_contraction(node, x)} \u00b7 {x.channels}\u2192{out.channels} channels",
    ),
    Pool: (
        "pool",
        lambda node, x, out: (
            f"{'maximum' if node.kind == 'max' else 'mean'} of "
            f"{_window(node.window.kernel, x)} \u00b7 {out.channels} channels"
        ),
    ),
    Permutation: ("other", lambda node, x, out: f"permutation of {out.channels} channels"),
    Slice: ("other", lambda node, x, out: f"channels {node.first} to {node.first + node.count - 1}"),
    Table: ("other", lambda node, x, out: f"table of {len(node.entries)} values"),
    Add: ("join", lambda node, x, out: f"sum \u00b7 {out.channels} channels"),
    Multiplication: ("join", lambda node, x, out: f"product \u00b7 {out.channels} channels"),
    Concatenation: ("join", lambda node, x, out: f"concatenation \u00b7 {out.channels} channels"),
}


def _contraction(node: Contraction, x: Edge) -> str:
    window = node.window
    if window.kernel == x.shape[:3] and x.positions > 1:
        what = "whole map"
    elif window.taps == 1:
        what = "pointwise"
    else:
        what = f"window {_window(window.kernel, x)}"
    if max(window.stride) > 1:
        what += f", stride {_window(window.stride, x)}"
    if node.groups > 1:
        what += ", depthwise" if node.in_size == 1 else f", {node.groups} groups"
    return what


def _window(values: tuple[int, int, int], x: Edge) -> str:
    """Sizes along the axes that the map has, or once where they are alike."""
    kept = values if x.shape[0] > 1 else values[1:]
    return (
        str(kept[0]) + "\u00b3" * (len(kept) == 3) + "\u00b2" * (len(kept) == 2) if len(set(kept)) == 1 else sizes(kept)
    )


def rows_html(rows: Iterable[tuple[str, object]]) -> str:
    """A list of names and values, both escaped."""
    inner = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>" for name, value in rows)
    return f"<dl>{inner}</dl>"
