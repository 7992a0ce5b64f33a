"""Why no plan fits a device: by how much, and what fits instead."""

from __future__ import annotations

import math
from dataclasses import replace

from rtl_gen.families import DEVICES, Device, Resources, family_of
from rtl_gen.plan.front import Solution, solve
from rtl_gen.plan.limits import budget_of, shares_of, slowest, usable
from rtl_gen.plan.problem import Problem

__all__ = ["DoesNotFit", "too_small"]

#: Beyond this multiple of a device by how much it is too small is not searched to the last percent.
FINE_MULTIPLE = 3.0


class DoesNotFit(ValueError):
    """No plan fits the device; the text says by how much, and the nearest one that does."""


def too_small(
    problem: Problem,
    device: Device,
    reserved: Resources,
    cycles: int,
    wish: str,
    nearest: Solution | None,
    clock_mhz: float,
) -> str:
    """By how much what exceeds the device least does so at so many cycles, and what fits instead."""
    closest = _closest(problem, device, reserved, cycles)
    shares = {} if closest is None else shares_of(closest.resources + reserved, device)
    share_of = usable(family_of(device))
    over = ", ".join(
        f"{name} {share * 100:.0f} % of the usable {int((getattr(device, name) or 0) * share_of[name])}"
        for name, share in shares.items()
        if share > 1
    )
    reason = "no folding is that fast" if closest is None else over
    text = f"{problem.graph.name}: {wish} does not fit {device.name} ({reason})"
    if nearest is None:
        return text + f"; {_next_device(problem, reserved)}"
    cycles = slowest(nearest)
    rate = clock_mhz * 1e6 / cycles
    return text + f"; the nearest plan that fits takes {cycles} cycles, {rate:.0f} frames a second"


def _closest(problem: Problem, device: Device, reserved: Resources, cycles: int) -> Solution | None:
    """What fits the least multiple of the device, to within two percent; None when no folding is that fast."""
    found = solve(problem.items, cycles, replace(budget_of(device), dsps=None, brams=None, luts=None))
    if found is None:
        return None
    low, high = 1.0, max(shares_of(found.resources + reserved, device).values(), default=1.0)
    if high > FINE_MULTIPLE:
        return found
    while high > low * 1.02:
        middle = math.sqrt(low * high)
        dsps, brams, luts = (b and math.ceil(b * middle) for b in (device.dsps, device.brams, device.luts))
        other = solve(problem.items, cycles, budget_of(replace(device, dsps=dsps, brams=brams, luts=luts), reserved))
        if other is None:
            low = middle
        else:
            found, high = other, middle
    return found


def _next_device(problem: Problem, reserved: Resources) -> str:
    """The first known device, in the order of their list, that holds the smallest folding, with its cycles."""
    for larger in DEVICES.values():
        if larger.dsps is None:
            continue
        found = solve(problem.items, problem.upper, budget_of(larger, reserved))
        if found is not None:
            return f"it fits {larger.name}, at {slowest(found)} cycles or fewer"
    return "no known device holds it; --device none plans it without bounds"
