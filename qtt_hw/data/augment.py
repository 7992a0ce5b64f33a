"""Random flips, shifts, rotations and changes of size of raw volumes, a function of (seed, epoch, sample) alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.rotations import ROTATIONS, rotate

__all__ = ["Augmentation", "Changes", "augment", "changes", "hash_words"]

_MASK = (1 << 64) - 1


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: a bijection of 64-bit words whose outputs look independent."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def hash_words(keys: tuple[int, ...], indices: NDArray[np.int64], draws: int) -> NDArray[np.uint64]:
    """Random 64-bit words [N, draws], a pure function of the keys, each index and the number of the draw."""
    state = np.zeros(1, dtype=np.uint64)
    for key in keys:
        state = _mix(state ^ np.array([key & _MASK], dtype=np.uint64))
    per_sample = _mix(state ^ indices.astype(np.uint64))
    return _mix(per_sample[:, None] + np.arange(draws, dtype=np.uint64)[None] * np.uint64(0xD1342543DE82EF95))


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a volume; nothing by default.

    Parameters
    ----------
    flips : tuple of float, (D, H, W)
        Probability of reversing each axis.
    shifts : tuple of int, (D, H, W)
        Largest shift along each axis, in voxels, either way; zeros come in.
    rotation : "D", "H", "W" or None
        Axis about which the volume turns by a random multiple of 90 degrees (of 180 where the plane is not square).
    turns : 4 or 12
        Of a whole turn; 12 are 30 degrees apart, about W only, to the nearest voxel.
    scales : tuple of float, (D, H, W)
        Largest change of the object's size along each axis, as a share of it, either way, to the nearest voxel, about
        the centre; before it is turned.
    """

    flips: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shifts: tuple[int, int, int] = (0, 0, 0)
    rotation: str | None = None
    turns: int = 4
    scales: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if any(not 0 <= p <= 1 for p in self.flips):
            raise ValueError(f"flips must be probabilities, got {list(self.flips)}")
        if any(n < 0 for n in self.shifts):
            raise ValueError(f"shifts must be 0 or more voxels, got {list(self.shifts)}")
        if self.rotation not in (None, "D", "H", "W"):
            raise ValueError(f"rotation must be about D, H or W, got {self.rotation!r}")
        if self.turns not in (4, ROTATIONS):
            raise ValueError(f"turns must be 4 or {ROTATIONS}, got {self.turns}")
        if self.turns == ROTATIONS and self.rotation != "W":
            raise ValueError(f'turns = {ROTATIONS} needs rotation = "W"')
        if any(not 0 <= share < 1 for share in self.scales):
            raise ValueError(f"scales must be shares below 1, got {list(self.scales)}")

    @property
    def active(self) -> bool:
        return any(self.flips) or any(self.shifts) or self.rotation is not None or any(self.scales)

    @property
    def plane(self) -> tuple[int, int] | None:
        """The axes of [D, H, W] that a rotation turns into each other."""
        return {"D": (1, 2), "H": (2, 0), "W": (0, 1)}.get(self.rotation or "")

    def turned(self, shape: tuple[int, ...], seed: int, epoch: int, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """By how many of its turns `augment` turns each sample [N] of a shape (D, H, W, ...)."""
        if self.plane is None:
            return np.zeros(len(indices), dtype=np.int64)
        words = hash_words((seed, epoch), indices, 7)[:, 6]
        if self.turns == ROTATIONS:
            return (words % np.uint64(ROTATIONS)).astype(np.int64)
        turns = (words >> np.uint64(62)).astype(np.int64)
        return turns if shape[self.plane[0]] == shape[self.plane[1]] else turns & 2


@dataclass(frozen=True, eq=False)
class Changes:
    """What happens to each of N samples [D, H, W, ...], in this order.

    Attributes
    ----------
    places : three int64 arrays, [N, size]
        Resized: for every place along D, H and W, the place that it is taken from; -1 for what lies outside.
    turns : int64 array, [N]
    flips : bool array, [N, 3]
    shifts : int64 array, [N, 3]
    """

    places: tuple[NDArray[np.int64], ...]
    turns: NDArray[np.int64]
    flips: NDArray[np.bool_]
    shifts: NDArray[np.int64]


def changes(shape: tuple[int, ...], how: Augmentation, seed: int, epoch: int, indices: NDArray[np.int64]) -> Changes:
    """The changes of samples of a shape (D, H, W, ...), each a function of seed, epoch and its index alone."""
    words = hash_words((seed, epoch), indices, 10)
    spans = 2 * np.array(how.shifts, dtype=np.uint64) + np.uint64(1)
    sizes = 1 + (2 * (words[:, 7:10] >> np.uint64(11)) * 2.0**-53 - 1) * np.array(how.scales)
    places = []
    for axis, size in enumerate(shape[:3]):
        middle = (size - 1) / 2
        place = np.floor((np.arange(size) - middle) / sizes[:, axis, None] + middle + 0.5).astype(np.int64)
        places.append(np.where((place >= 0) & (place < size), place, -1))
    return Changes(
        tuple(places),
        how.turned(shape, seed, epoch, indices),
        (words[:, 0:3] >> np.uint64(11)) * 2.0**-53 < np.array(how.flips),
        (words[:, 3:6] % spans).astype(np.int64) - np.array(how.shifts),
    )


def augment(
    x: NDArray[np.uint8], how: Augmentation, seed: int, epoch: int, indices: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Augmented copies uint8 [N, D, H, W, C]; sample n depends on seed, epoch and indices[n] only.

    Parameters
    ----------
    x : uint8 array, [N, D, H, W, C]
    how : Augmentation
    seed, epoch : int
    indices : int64 array, [N]
        Each sample's place in the training set, so that batch order and size change nothing.
    """
    if not how.active:
        return x
    drawn = changes(x.shape[1:], how, seed, epoch, indices)
    turns, flips, shifts = drawn.turns, drawn.flips, drawn.shifts
    if any(how.scales):
        x = _resized(x, drawn.places)
    if how.turns == ROTATIONS:
        x = _rotated(x, turns)
    plane = how.plane if how.turns != ROTATIONS else None
    out = np.zeros_like(x) if any(how.shifts) else np.empty_like(x)
    for n, (target, volume) in enumerate(zip(out, x, strict=True)):
        # Rotations and flips are views; the one copy moves the part that the shift leaves inside.
        view = volume if plane is None or not turns[n] else np.rot90(volume, int(turns[n]), plane)
        view = view[tuple(slice(None, None, -1 if flip else 1) for flip in flips[n])]
        to, taken = [], []
        for shift, size in zip(shifts[n].tolist(), volume.shape, strict=False):
            shift = max(-size, min(size, shift))
            to.append(slice(max(shift, 0), size + min(shift, 0)))
            taken.append(slice(max(-shift, 0), size - max(shift, 0)))
        target[tuple(to)] = view[tuple(taken)]
    return out


def _resized(x: NDArray[np.uint8], places: tuple[NDArray[np.int64], ...]) -> NDArray[np.uint8]:
    """Volumes [N, D, H, W, C] read at other places along each axis; zeros come in."""
    out = np.zeros_like(x)
    for target, volume, *along in zip(out, x, *places, strict=True):
        kept = [np.flatnonzero(place >= 0) for place in along]
        target[np.ix_(*kept)] = volume[np.ix_(*(place[k] for place, k in zip(along, kept, strict=True)))]
    return out


def _rotated(x: NDArray[np.uint8], turns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Volumes [N, ...], each turned by its number of 30 degrees about W."""
    out = np.empty_like(x)
    for k in np.unique(turns):
        chosen = turns == k
        out[chosen] = rotate(x[chosen], int(k))
    return out
