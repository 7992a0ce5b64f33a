"""Cells of yosys that take the place of a placed design's pads and buffers."""

from __future__ import annotations

from typing import Any

__all__ = ["inverted", "wire"]


def wire(source: list[Any], sink: list[Any]) -> dict[str, Any]:
    """A cell that hands a net on."""
    return _cell("$_BUF_", source, sink)


def inverted(source: list[Any], sink: list[Any]) -> dict[str, Any]:
    """A cell that hands a net's inverse on."""
    return _cell("$_NOT_", source, sink)


def _cell(kind: str, source: list[Any], sink: list[Any]) -> dict[str, Any]:
    return {
        "hide_name": 0,
        "type": kind,
        "parameters": {},
        "attributes": {},
        "port_directions": {"A": "input", "Y": "output"},
        "connections": {"A": source, "Y": sink},
    }
