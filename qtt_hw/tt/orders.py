"""The order of a tensor train's modes, which is free before training: other orders need other multiplications.

At equal size and rank, QTTNet's 64 -> 128 layer with input modes 2, 4, 2, 4 and output modes 4, 2, 4, 4 needs 143 360
multiplications a voxel along its best path, with 4, 2, 4, 2 and 2, 4, 4, 4 it needs 88 064.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

from qtt_hw.tt.chain import ContractionPath, contraction_steps, cost

__all__ = ["Ordered", "orders"]


@dataclass(frozen=True)
class Ordered:
    """A path, and the modes in the order that it is meant for; none are the layer's own.

    Written "0 1-3", or "0 1-3 of 4,2,4,2 to 2,4,4,4".
    """

    path: str
    in_modes: tuple[int, ...] = ()
    out_modes: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.in_modes:
            return self.path
        taken, made = (",".join(map(str, modes)) for modes in (self.in_modes, self.out_modes))
        return f"{self.path} of {taken} to {made}"

    @classmethod
    def parse(cls, text: str) -> Ordered:
        """A path with or without modes; raises ValueError."""
        path, of, modes = text.partition(" of ")
        if not of:
            return cls(text)
        found = re.fullmatch(r"(\d+(?:,\d+)*) to (\d+(?:,\d+)*)", modes)
        if found is None:
            raise ValueError(f"path {text!r}: modes are written as in '{path} of 4,2 to 2,4'")
        taken, made = (tuple(map(int, side.split(","))) for side in found.groups())
        return cls(path, taken, made)


def orders(
    in_modes: Sequence[int], out_modes: Sequence[int], ranks: Sequence[int], path: ContractionPath, taps: int = 0
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The orders of the modes that no other order beats along a path.

    An order beats another with fewer multiplications or weights, and no more of either; of equals the given one stands,
    or the first found.

    Parameters
    ----------
    in_modes, out_modes : sequence of int, [cores]
        Of the cores over channels.
    ranks : sequence of int
    path : ContractionPath
    taps : int
        Of a spatial core in front; 0 without one.
    """
    front = (1,) if taps else ()
    given = tuple(in_modes), tuple(out_modes)
    sides = [dict.fromkeys(permutations(modes)) for modes in given]
    tried = dict.fromkeys([given, *product(*sides)])
    costs: dict[tuple[int, int], tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for c, s in tried:
        steps = contraction_steps((*front, *c), (*front, *s), ranks, path)
        weights = sum(step.in_size * step.out_size * (taps if taps and step.first == 0 else 1) for step in steps)
        costs.setdefault((cost(steps, taps or 1), weights), (c, s))
    for (macs, weights), order in costs.items():
        if not any(m <= macs and w <= weights for m, w in costs if (m, w) != (macs, weights)):
            yield order
