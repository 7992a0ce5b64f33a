"""Shift registers: a value some cycles later."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value

__all__ = ["delay"]


def delay(m: Module, value: Value, cycles: int, name: str) -> Value:
    """`value` after some cycles, through registers named after it."""
    for index in range(cycles):
        later = Signal.like(value, name=f"{name}_{index + 1}")
        m.d.sync += later.eq(value)
        value = later
    return value
