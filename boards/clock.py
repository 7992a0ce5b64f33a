"""The clock cycles of a bit on a board's serial line."""

from __future__ import annotations

__all__ = ["BAUD_ERROR", "LEAST_DIVISOR", "divisor_of"]

#: Clock cycles of a bit that the link needs at least.
LEAST_DIVISOR = 8
#: Share by which a bit may be too long or too short.
BAUD_ERROR = 0.02


def divisor_of(clock_mhz: float, baud: int) -> int:
    """Clock cycles of a bit; raises ValueError when the clock cannot make the baud rate."""
    exact = clock_mhz * 1e6 / baud
    divisor = max(round(exact), 1)
    if abs(divisor - exact) > BAUD_ERROR * exact:
        raise ValueError(
            f"{baud} baud is not within 2 % of a division of {clock_mhz:g} MHz: "
            f"the nearest, {round(clock_mhz * 1e6 / divisor)}, is off by {100 * abs(exact / divisor - 1):.3g} %"
        )
    if divisor < LEAST_DIVISOR:
        raise ValueError(f"a bit of {divisor} clock cycles is too short for the link; {LEAST_DIVISOR} are the least")
    return divisor
