"""Bits by layer: of all choices, those that no other beats in both stored bits and predicted rise of the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Allocation", "front", "monotone"]

#: Sizes that are told apart; where there are more, each is rounded up to a step by which there are not.
MOST_SIZES = 1 << 18


@dataclass(frozen=True)
class Allocation:
    """Bits by layer, in the order of the layers: what they store, and the sum of the layers' rises of the loss."""

    bits: tuple[int, ...]
    stored_bits: int
    rise: float


def monotone(rises: Mapping[int, float]) -> dict[int, float]:
    """Rises by number of bits, none below 0 and none below that of more bits: noise does not make few bits better."""
    found, least = {}, 0.0
    for bits in sorted(rises, reverse=True):
        least = max(least, rises[bits])
        found[bits] = least
    return found


def front(
    stored: Sequence[Mapping[int, int]], rises: Sequence[Mapping[int, float]], budget: int | None = None
) -> list[Allocation]:
    """All choices of bits that no other beats, from the smallest, by a dynamic programme over the layers.

    The sum over layers is exact: of two beginnings of a choice, the one that stores no less and loses no less is never
    part of a better whole. Only above MOST_SIZES sizes are these rounded up, so that a budget still holds.

    Parameters
    ----------
    stored, rises : sequences, by layer, of mappings of a number of bits
        What its weights then store, in bits, and by how much the loss rises.
    budget : int, optional
        Stored bits, which no choice exceeds.
    """
    most = sum(max(of_layer.values()) for of_layer in stored)
    unit = np.gcd.reduce([size for of_layer in stored for size in of_layer.values()] or [1])
    step = int(unit) if most // int(unit) <= MOST_SIZES else -(-most // MOST_SIZES)
    sizes, losses = np.zeros(1, np.int64), np.zeros(1)
    choices: list[tuple[np.ndarray, np.ndarray]] = []
    for of_layer, rise in zip(stored, rises, strict=True):
        widths = sorted(of_layer)
        grown = np.concatenate([sizes + -(-of_layer[bits] // step) for bits in widths])
        lost = np.concatenate([losses + rise[bits] for bits in widths])
        before = np.tile(np.arange(len(sizes)), len(widths))
        chosen = np.repeat(widths, len(sizes))
        # By size, of one size by loss; then those that lose less than everything before them.
        order = np.lexsort((lost, grown))
        least = np.minimum.accumulate(lost[order])
        keep = order[np.concatenate([[True], least[1:] < least[:-1]])]
        sizes, losses = grown[keep], lost[keep]
        choices.append((before[keep], chosen[keep]))
    at = np.arange(len(sizes))
    columns: list[np.ndarray] = []
    for before, chosen in reversed(choices):
        columns.append(chosen[at])
        at = before[at]
    found = []
    for index, loss in enumerate(losses):
        bits = tuple(int(column[index]) for column in reversed(columns))
        total = sum(of_layer[width] for of_layer, width in zip(stored, bits, strict=True))
        if budget is None or total <= budget:
            found.append(Allocation(bits, total, float(loss)))
    return found
