"""Whether a value lies beyond a bound, where one of several bounds holds.

Of comparisons, synthesis makes a single one with the bound that holds: a carry chain behind a choice. Most bounds are
those of a number of bits, and then the bits above them tell.
"""

from __future__ import annotations

from amaranth.hdl import C, Value

__all__ = ["exceeds", "falls_below"]


def exceeds(value: Value, bound: int) -> Value:
    """value > bound, of a signed value."""
    bits = bound.bit_length()
    if bound != (1 << bits) - 1:
        return value > bound
    return ~value[-1] & value[bits:-1].any() if bits < len(value) - 1 else C(0, 1)


def falls_below(value: Value, bound: int) -> Value:
    """value < bound, of a signed value."""
    if bound == 0:
        return value[-1]
    bits = (-1 - bound).bit_length()
    if -bound != 1 << bits:
        return value < bound
    return value[-1] & ~value[bits:-1].all() if bits < len(value) - 1 else C(0, 1)
