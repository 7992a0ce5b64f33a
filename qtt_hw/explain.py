"""Why numbers cannot be held, in the terms of who trains the network: the texts of `qtt_hw.fixedpoint`'s refusals.

Each says what is too large, for which channel, and what to change; the caller names the layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DIVERGED", "beyond", "imprecise", "no_reciprocal", "not_finite", "too_large", "too_wide", "unreachable"]

AGAIN = "then calibrate again"


def _steps(sums: int, outputs: int) -> str:
    return f"its sums come in steps of 2**{-sums} and its outputs in steps of 2**{-outputs}"


def unreachable(sums: int, outputs: int, right: int, left: int) -> str:
    """Of a shift between the fracs of sums and outputs, where `right` and `left` are the most."""
    shift = sums - outputs
    how, most, way = ("large", right, "up") if shift > 0 else ("small", left, "down")
    return (
        f"{_steps(sums, outputs)}, 2**{abs(shift)} times as {how}, 2**{most} times are the most; scale the values of "
        f"its weights or inputs {way}, or put a batch norm behind the layers before it, {AGAIN}"
    )


#: Of a learned scale that is not a number.
DIVERGED = (
    "its learned scale is not finite: training has diverged, or a function's gradient is infinite, as that of a root "
    "is at 0; lower its learning rate, clip gradients, or keep 0 away from the function"
)


def not_finite(channel: int) -> str:
    """Of a channel whose slope or intercept is not a number."""
    return (
        f"the batch norm or bias of channel {channel} is not finite: training has diverged; lower its learning rate, "
        "or clip gradients"
    )


def _added(intercepts: Any) -> str:
    channel = int(np.argmax(np.abs(intercepts)))
    value = f"{intercepts[channel]:.3g}"
    return f"{value} is added to channel {channel} (beta - mean * gamma / sigma of its batch norm, or its bias)"


def too_large(slopes: Any, intercepts: Any, limits: tuple[float, float], sums: int, outputs: int) -> str:
    """Of slopes and intercepts, [channels], of which one is beyond its limit."""
    channel = int(np.argmax(np.abs(slopes)))
    if abs(slopes[channel]) <= limits[0]:
        return (
            f"{_added(intercepts)}, and {limits[1]:.3g} is the most where {_steps(sums, outputs)}; lower it, or train "
            f"with a batch norm there, {AGAIN}"
        )
    return (
        f"channel {channel} is multiplied by {slopes[channel]:.3g} (gamma / sigma of its batch norm; 1 with a bias "
        f"alone), and {limits[0]:.3g} is the most where {_steps(sums, outputs)}: its sums hardly vary; lower gamma, or "
        f"scale the values of its weights or inputs up, {AGAIN}"
    )


def imprecise(intercepts: Any, bits: int, crowded: bool, sums: int, outputs: int) -> str:
    """Of multipliers that keep fewer than so many bits: crowded out by an intercept, or by steps too far apart."""
    lost = f"what its sums are multiplied by (gamma / sigma of a batch norm) keeps fewer than {bits} bits"
    if crowded:
        return (
            f"{_added(intercepts)}, so much that {lost} where {_steps(sums, outputs)}; lower it, or "
            f"scale the values of its weights or inputs up, {AGAIN}"
        )
    return (
        f"{lost}, since {_steps(sums, outputs)}; use fewer weight bits, or scale the values of its weights or inputs "
        f"up, {AGAIN}"
    )


def beyond(exponent: int, most: int) -> str:
    """Of a codebook whose least magnitude is 2**exponent, where 2**-most to 2**most can be."""
    if exponent < 0:
        return (
            f"its powers of two reach down to 2**{exponent}, 2**{-most} is the least; use fewer weight bits, or scale "
            f"the values of its weights up, {AGAIN}"
        )
    where = f"its powers of two begin at 2**{exponent}, 2**{most} is the most"
    return f"{where}; scale the values of its weights down, {AGAIN}"


def too_wide(bits: int, most: int) -> str:
    """Of sums of so many bits."""
    return f"its sums need {bits} bits, {most} are exact; use fewer weight bits, or fewer activation bits before it"


def no_reciprocal(values: int, bits: int, most: int) -> str:
    """Of a mean of so many values of so many bits."""
    return (
        f"a mean of {values} values of {bits} bits has no exact reciprocal of {most} bits; use a smaller window, two "
        "pools one after the other, or fewer bits of what it averages (activation_bits, logit_bits of final results)"
    )
