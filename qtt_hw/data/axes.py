"""The order of an array's axes: as it is given, or as the sizes tell where only one order is plausible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["in_order", "parse_axes", "sample_axes", "spelled"]

#: Up to so many values at one place are taken for channels: grey and alpha, RGB, RGB and alpha.
CHANNELS = 4


def parse_axes(text: str, where: str) -> str:
    """The axes of one sample, such as "CDHW", of "NCDHW" or "CDHW"; "C" is a vector's.

    Raises
    ------
    ValueError
        When these are no axes, H or W is missing but for a vector's, or N stands elsewhere than first.
    """
    axes = str(text).upper().removeprefix("N")
    if axes != "C" and (not {"H", "W"} <= set(axes) <= set("DHWC") or len(set(axes)) < len(axes)):
        raise ValueError(
            f"{where}: axes {text!r}: expected N, then H and W, and D and C where there are, such as NCDHW or NHWC"
        )
    return axes


def spelled(axes: str) -> str:
    """ "N, D, H, W" of "NDHW"."""
    return ", ".join(axes)


def sample_axes(shape: Sequence[int], given: str | None, where: str, remedy: str) -> str:
    """The axes of samples of this shape, which is without N: those given, else "C", "HW", "DHW" or "DHWC".

    Sizes that fit another order as well are refused: 32, 32, 3 is a flat volume or an image in colours, and 1, 12, 12,
    12 a volume with its channel first or an image of 12 channels.

    Parameters
    ----------
    shape : sequence of int
    given : str, optional
        As `parse_axes` returns them.
    where, remedy : str
        For messages: what has the shape, and how its axes can be given.

    Raises
    ------
    ValueError
        When the shape has another number of axes, or two orders are plausible.
    """
    if given is not None:
        if len(given) != len(shape):
            raise ValueError(f"{where}: shape {['N', *shape]} has not the axes N, {spelled(given)}".replace("'N'", "N"))
        return given
    if len(shape) == 1:
        return "C"
    if len(shape) == 2:
        return "HW"
    if len(shape) == 3:
        first, middle, last = shape
        others = ["NHWC"] * (last <= CHANNELS and last < min(first, middle))
        # One plane is one channel: the samples are the same.
        others += ["NCHW"] * (1 < first <= CHANNELS and first < min(middle, last))
        found = "DHW"
    else:
        first, second, third, last = shape
        behind = last == 1 or last < min(second, third)
        others = [] if behind and (last <= CHANNELS or first >= min(third, last)) else ["NCDHW"]
        found = "DHWC"
    if others:
        orders = " or ".join(spelled(axes) for axes in (*others, f"N{found}"))
        raise ValueError(f"{where}: samples of {list(shape)} may be {orders}: {remedy.format(axes=others[0])}")
    return found


def in_order(x: NDArray, axes: str) -> NDArray:
    """[N, D, H, W, C] of an array [N, *axes]; axes that it lacks have the size 1."""
    present = [axis for axis in "DHWC" if axis in axes]
    moved = x.transpose(0, *(1 + axes.index(axis) for axis in present))
    places = tuple(1 + place for place, axis in enumerate("DHWC") if axis not in axes)
    return np.ascontiguousarray(np.expand_dims(moved, places))
