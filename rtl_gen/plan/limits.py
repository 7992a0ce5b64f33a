"""What a plan may use of a device, and what it does use."""

from __future__ import annotations

import math

from rtl_gen.families import Device, Family, Resources, family_of
from rtl_gen.plan.front import Solution
from rtl_gen.plan.totals import Budget

__all__ = ["budget_of", "shares_of", "shares_of_all", "slowest", "usable"]


#: LUTs that a multiplier block is worth: somewhat less than a product of 4 x 8 bits takes in their place, so that
#: blocks are used as far as there are, two products each where that goes. LUTs are for routing.
MULTIPLIER_WORTH = 32
#: LUTs that a block RAM is worth: LUTs are what the clock depends on, and block RAMs are there to be used.
MEMORY_WORTH = 64


def usable(family: Family) -> dict[str, float]:
    """Shares of a device that a plan may use."""
    return {"dsps": 1.0, "brams": 1.0, "luts": family.lut_share, "ffs": 1.0}


def budget_of(device: Device, reserved: Resources = Resources()) -> Budget:  # noqa: B008 - immutable
    """What the stages of a plan may use of a device, when so much goes elsewhere."""
    family = family_of(device)
    taken, shares = family.overhead + reserved, usable(family)
    limits: dict[str, int | None] = {}
    for name, share in shares.items():
        budget = getattr(device, name)
        limits[name] = None if budget is None else math.floor(budget * share) - getattr(taken, name)
    # Where a device has no bound, prices refer to the family's largest.
    largest = family.devices[-1]
    prices = {name: 1.0 / ((getattr(device, name) or getattr(largest, name)) * share) for name, share in shares.items()}
    dsp = min(prices["dsps"], MULTIPLIER_WORTH * prices["luts"])
    bram = min(prices["brams"], MEMORY_WORTH * prices["luts"])
    return Budget(limits["dsps"], limits["brams"], limits["luts"], (dsp, bram, prices["luts"]))


def shares_of(resources: Resources, device: Device) -> dict[str, float]:
    """Share of each budget that is used, with the overhead, relative to what is usable; above 1 does not fit."""
    return shares_of_all(resources + family_of(device).overhead, device)


def shares_of_all(total: Resources, device: Device) -> dict[str, float]:
    """As `shares_of`, of resources among which the overhead is."""
    shares = {}
    for name, share in usable(family_of(device)).items():
        budget = getattr(device, name)
        if budget is not None:
            taken = getattr(total, name)
            shares[name] = taken / (budget * share) if budget else math.inf if taken else 0.0
    return shares


def slowest(solution: Solution) -> int:
    """Cycles of the slowest stage."""
    return max(choice.cycles for choice in solution.choices)
