"""Totals of DSPs, block RAMs and LUTs, of which those are kept that no other beats: a Pareto front."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from ctypes import c_double, c_int64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rtl_gen.compiled import Table, load_library
from rtl_gen.families import Resources

__all__ = ["START", "Budget", "Front", "Point", "added", "extended", "index_of", "merged", "point_of", "pruned"]


@dataclass(frozen=True)
class Budget:
    """What the stages of a chain may use together.

    Parameters
    ----------
    dsps, brams, luts : int or None
        None is unbounded.
    prices : (float, float, float)
        Of a DSP, a block RAM and a LUT, in the sum that decides between chains that fit. Where LUTs are bounded, what
        is unbounded has no price.
    """

    dsps: int | None
    brams: int | None
    luts: int | None
    prices: tuple[float, float, float]

    @property
    def counted(self) -> tuple[int, int]:
        """1 for DSPs and for block RAMs that are bounded."""
        return int(self.dsps is not None), int(self.brams is not None)

    def price(self, resources: Resources) -> float:
        """The price of some resources, in the unit that `prices` give."""
        d, b, t = self.prices
        return d * resources.dsps + b * resources.brams + t * resources.luts


@dataclass(frozen=True)
class Front:
    """Totals that none beats.

    Attributes
    ----------
    dsps, brams : int64 array, [points]
        0 where they are unbounded.
    rest : float64 array, [points]
        LUTs; where they are unbounded, the price of everything.
    """

    dsps: NDArray[np.int64]
    brams: NDArray[np.int64]
    rest: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.dsps)

    def prices(self, budget: Budget) -> NDArray[np.float64]:
        """The price of every point, float64 [points]."""
        if budget.luts is None:
            return self.rest
        d, b, t = budget.prices
        return d * self.dsps + b * self.brams + t * self.rest


START = Front(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1))

#: DSPs, block RAMs and the rest.
Point = tuple[int, int, float]
#: What alternatives are told apart by.
_Key = TypeVar("_Key", bound=Hashable)


def added(front: Front, costs: NDArray[np.int64], budget: Budget) -> Front:
    """Every point of a front with every choice (cycles, dsps, brams, luts) added, the choices fastest."""
    dsps, brams = budget.counted
    return Front(
        np.add.outer(front.dsps, dsps * costs[:, 1]).ravel(),
        np.add.outer(front.brams, brams * costs[:, 2]).ravel(),
        np.add.outer(front.rest, _rest(costs, budget)).ravel(),
    )


def _rest(costs: NDArray[np.int64], budget: Budget) -> NDArray[np.float64]:
    """Of choices (cycles, dsps, brams, luts): LUTs, or the price of everything."""
    return costs[:, 3].astype(np.float64) if budget.luts is not None else costs[:, 1:] @ np.array(budget.prices)


def extended(parts: Sequence[tuple[Front, NDArray[np.int64]]], budget: Budget) -> Front | None:
    """The points within the budget that no other beats, of every front with each of its choices added."""
    counted_dsps, counted_brams = budget.counted
    most_dsps = max(int(front.dsps.max() + counted_dsps * costs[:, 1].max()) for front, costs in parts)
    most_brams = max(int(front.brams.max() + counted_brams * costs[:, 2].max()) for front, costs in parts)
    rows = most_dsps + 1 if budget.dsps is None else min(most_dsps, budget.dsps) + 1
    columns = most_brams + 1 if budget.brams is None else min(most_brams, budget.brams) + 1
    if rows < 1 or columns < 1:
        return None
    least = np.full(rows * columns, math.inf)
    for front, costs in parts:
        dsps, brams, rest = counted_dsps * costs[:, 1], counted_brams * costs[:, 2], _rest(costs, budget)
        most = math.inf if budget.luts is None else float(budget.luts)
        _library().extend(
            *(front.dsps, front.brams, front.rest, len(front), dsps, brams, rest, len(costs)),
            *(rows, columns, most, least),
        )
    dsps, brams, rest = np.empty(least.size, np.int64), np.empty(least.size, np.int64), np.empty(least.size)
    count = _library().unbeaten(least, rows, columns, dsps, brams, rest)
    return Front(dsps[:count].copy(), brams[:count].copy(), rest[:count].copy()) if count else None


#: A choice that costs nothing.
_NONE = np.zeros((1, 4), np.int64)


def pruned(parts: Sequence[Front], budget: Budget) -> Front | None:
    """The points within the budget that no other beats, each once."""
    return extended([(front, _NONE) for front in parts], budget)


def merged(alternatives: Iterable[tuple[_Key, Front]], budget: Budget) -> dict[_Key, Front]:
    """The fronts of alternatives, one for each key: the widths that can be read, or more."""
    parts: dict[_Key, list[Front]] = {}
    for key, front in alternatives:
        parts.setdefault(key, []).append(front)
    found = {key: fronts_[0] if len(fronts_) == 1 else pruned(fronts_, budget) for key, fronts_ in parts.items()}
    return {key: front for key, front in found.items() if front is not None}


_INTEGERS: Any = Table(np.dtype(np.int64))
_FLOATS: Any = Table(np.dtype(np.float64))
_TABLES: list[Any] = [_INTEGERS, _INTEGERS, _FLOATS]


@cache
def _library() -> Any:
    library = load_library(Path(__file__).with_name("totals.cpp"))
    library.extend.argtypes = [*_TABLES, c_int64, *_TABLES, c_int64, c_int64, c_int64, c_double, _FLOATS]
    library.extend.restype = None
    library.unbeaten.argtypes, library.unbeaten.restype = [_FLOATS, c_int64, c_int64, *_TABLES], c_int64
    return library


def point_of(front: Front, index: int) -> Point:
    return int(front.dsps[index]), int(front.brams[index]), float(front.rest[index])


def index_of(front: Front | None, target: Point) -> int | None:
    if front is None:
        return None
    hit = (front.dsps == target[0]) & (front.brams == target[1]) & (front.rest == target[2])
    return int(np.argmax(hit)) if hit.any() else None
