"""Clocks of a board: the PLL's dividers, and the clock cycles of a bit on the serial line."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BAUD_ERROR", "LEAST_DIVISOR", "Pll", "divisor_of", "pll_of"]

#: Voltage-controlled oscillator of an ECP5 PLL, MHz.
VCO_RANGE = (400.0, 800.0)
#: Least frequency that an ECP5 PLL compares, MHz.
LEAST_REFERENCE = 3.125
#: Clock cycles of a bit that the link needs at least.
LEAST_DIVISOR = 8
#: Share by which a bit may be too long or too short.
BAUD_ERROR = 0.02


@dataclass(frozen=True)
class Pll:
    """Dividers of an EHXPLLL that makes oscillator * feedback / reference MHz."""

    reference: int
    feedback: int
    output: int
    clock_mhz: float


def pll_of(oscillator_mhz: float, clock_mhz: float) -> Pll:
    """The dividers for a clock; raises ValueError with the nearest clocks when there are none."""
    found = []
    for reference in range(1, 9):
        for feedback in range(1, 81):
            clock = oscillator_mhz * feedback / reference
            for output in range(1, 129):
                if VCO_RANGE[0] <= clock * output <= VCO_RANGE[1] and oscillator_mhz / reference >= LEAST_REFERENCE:
                    found.append(Pll(reference, feedback, output, clock))
    if not found:
        raise ValueError(f"no PLL setting makes any clock of {oscillator_mhz:g} MHz")
    best = min(found, key=lambda p: (abs(p.clock_mhz - clock_mhz), p.reference, abs(p.clock_mhz * p.output - 600)))
    if not abs(best.clock_mhz - clock_mhz) <= 1e-6:  # NaN too
        near = f"{best.clock_mhz:g} MHz is the nearest"
        raise ValueError(f"no PLL setting makes {clock_mhz:g} MHz of {oscillator_mhz:g} MHz; {near}")
    return best


def divisor_of(clock_mhz: float, baud: int) -> int:
    """Clock cycles of a bit; raises ValueError when the clock cannot make the baud rate."""
    exact = clock_mhz * 1e6 / baud
    divisor = max(round(exact), 1)
    if abs(divisor - exact) > BAUD_ERROR * exact:
        raise ValueError(
            f"{baud} baud is not within 2 % of a division of {clock_mhz:g} MHz: "
            f"the nearest, {round(clock_mhz * 1e6 / divisor)}, is off by {100 * abs(exact / divisor - 1):.1f} %"
        )
    if divisor < LEAST_DIVISOR:
        raise ValueError(f"a bit of {divisor} clock cycles is too short for the link; {LEAST_DIVISOR} are the least")
    return divisor
