"""What a plan may use of a device, and what it does use."""

from __future__ import annotations

import math

from boards.devices import Device
from rtl_gen.plan.front import Budget, Solution
from rtl_gen.plan.resources import Resources

__all__ = ["OVERHEAD", "USABLE", "budget_of", "shares_of", "slowest"]

#: Shares of a device that a plan may use: routing degrades with more LUTs.
USABLE = {"dsps": 1.0, "brams": 1.0, "luts": 0.70}
#: Cells that the argmax, the link and the board's top level take.
OVERHEAD = Resources(dsps=0, brams=1, luts=900)
#: What prices refer to where a device has no bound: the ECP5-85F.
REFERENCE = {"dsps": 156, "brams": 208, "luts": 83640}


def budget_of(device: Device, reserved: Resources = Resources()) -> Budget:  # noqa: B008 - immutable
    """What the stages of a plan may use of a device, when so much goes elsewhere."""
    limits: dict[str, int | None] = {}
    for name, usable in USABLE.items():
        budget = getattr(device, name)
        limits[name] = None if budget is None else math.floor(budget * usable) - getattr(OVERHEAD + reserved, name)
    prices = [1.0 / ((getattr(device, name) or REFERENCE[name]) * usable) for name, usable in USABLE.items()]
    return Budget(limits["dsps"], limits["brams"], limits["luts"], (prices[0], prices[1], prices[2]))


def shares_of(resources: Resources, device: Device) -> dict[str, float]:
    """Share of each budget that is used, relative to what is usable; above 1 does not fit."""
    total = resources + OVERHEAD
    shares = {}
    for name, usable in USABLE.items():
        budget = getattr(device, name)
        if budget is not None:
            shares[name] = getattr(total, name) / (budget * usable)
    return shares


def slowest(solution: Solution) -> int:
    """Cycles of the slowest stage."""
    return max(choice.cycles for choice in solution.choices)
