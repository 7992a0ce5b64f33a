"""Samples as bytes [N, D, H, W, C] with labels [N], and the split of a set by a hash of each sample's own bytes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtt_hw.near import unknown
from qtt_hw.options import SPLITS

__all__ = ["Samples", "Splits", "held_out", "holdout", "sample_digests"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Raw samples and their classes.

    Parameters
    ----------
    x : uint8 array, [N, D, H, W, C]
        Occupancy 0 or 1, or pixel values 0 to 255, before any preprocessing.
    y : int64 array, [N]
        Class index.
    """

    x: NDArray[np.uint8]
    y: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.x.ndim != 5 or self.x.dtype != np.uint8:
            raise ValueError(f"x must be uint8 [N, D, H, W, C], got {self.x.dtype} {list(self.x.shape)}")
        if self.y.ndim != 1 or self.y.dtype != np.int64:
            raise ValueError(f"y must be int64 [N], got {self.y.dtype} {list(self.y.shape)}")
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} samples, y has {len(self.y)}")

    def __len__(self) -> int:
        return len(self.y)

    @property
    def sample_shape(self) -> tuple[int, int, int, int]:
        d, h, w, c = self.x.shape[1:]
        return d, h, w, c

    def take(self, chosen: NDArray) -> Samples:
        """The samples of an index array or a mask, in its order."""
        return Samples(self.x[chosen], self.y[chosen])

    @cached_property
    def digest(self) -> str:
        """sha256 over shape, samples and labels: which data a run was trained on."""
        total = hashlib.sha256(repr(self.x.shape).encode())
        total.update(np.ascontiguousarray(self.x).data)
        total.update(np.ascontiguousarray(self.y).data)
        return total.hexdigest()


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set: what is trained on, what decides, and what is read once.

    Parameters
    ----------
    train, validation, test : Samples
        No sample of `train` has the bytes of one in `validation`, or is of its group where the source knows groups;
        `test` is as its source defines it.
    labels : tuple of str
        Class names, by index.
    name : str
    read : str
        What the source holds and as what it was read, in a few words.
    held_out : tuple of str
        The splits that were held out of the training samples, since the source has none of its own.
    notes : tuple of str
        What else the user should know, such as what was not read.
    validation_from : "official", float or int
        Where the validation samples are from: the source's own, or the share or number that was held out.
    """

    train: Samples
    validation: Samples
    test: Samples
    labels: tuple[str, ...]
    name: str
    read: str = ""
    held_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    validation_from: str | float | int = "official"

    def __post_init__(self) -> None:
        for part in ("train", "validation"):  # test samples are not touched before they are used
            self.check_classes(part)

    def check_classes(self, split: str) -> None:
        """Raise ValueError when a sample of the split is of a class that has no name."""
        y = self[split].y
        if len(y) and not (0 <= int(y.min()) and int(y.max()) < len(self.labels)):
            raise ValueError(
                f"{self.name}: {split} samples of classes {y.min()} to {y.max()}, {len(self.labels)} are named"
            )

    def __getitem__(self, split: str) -> Samples:
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        found: Samples = getattr(self, split)
        return found

    @cached_property
    def unseen(self) -> NDArray[np.bool_]:
        """Mask over `test`: true where no sample of `train` or `validation` has the same bytes."""
        seen = set(sample_digests(self.train.x)) | set(sample_digests(self.validation.x))
        return np.array([digest not in seen for digest in sample_digests(self.test.x)], dtype=bool)

    @property
    def test_unseen(self) -> Samples:
        """The test samples whose bytes do not stand in the training set, of which validation is a part."""
        return self.test.take(self.unseen)


def sample_digests(x: NDArray[np.uint8]) -> list[bytes]:
    """A 16-byte hash of every sample's bytes, [N, ...] to N digests."""
    return [hashlib.blake2b(np.ascontiguousarray(sample).data, digest_size=16).digest() for sample in x]


def held_out(
    samples: Samples, share: float | int, seed: int, purpose: str = "validation", groups: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Mask over samples, true where held out: a share of every class, chosen by a hash of each sample's bytes.

    Samples with equal bytes stay on one side. Where groups are given, the groups do in their place, chosen by a hash
    of their names, so that the same files are held out whatever they were converted to. A sample's side does not
    depend on the order of the set. Where most groups reach across classes, they are a share of the set as a whole.

    Parameters
    ----------
    samples : Samples
    share : float or int
        Share of every class that is held out, above 0 and below 1; or, as an integer, how many samples in all.
    seed : int
        Another seed makes another choice.
    purpose : str
        Mixed into the hash, so that two splits of one set are independent.
    groups : sequence of str, [N], optional
        What each sample belongs to: an object, a scene, a person.
    """
    if not (0 < share < 1 or (isinstance(share, int) and 0 < share < len(samples))):
        raise ValueError(
            f"{purpose} must be a share above 0 and below 1, or a number of the {len(samples)} samples, got {share}"
        )
    keys = sample_digests(samples.x) if groups is None else [name.encode() for name in groups]
    units: dict[bytes, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        units[key].append(index)
    # Scenes that hold several classes cannot be shared out class by class.
    several = sum(len(set(samples.y[members].tolist())) > 1 for members in units.values())
    mixed = groups is not None and 2 * several > len(units)
    strata: dict[int, list[bytes]] = defaultdict(list)
    for key, members in units.items():
        # Equal samples may carry different labels: the unit counts for its most frequent one, the lowest in a tie.
        strata[0 if mixed else int(np.bincount(samples.y[members]).argmax())].append(key)
    held = np.zeros(len(samples), dtype=bool)
    targets = _targets({label: sum(len(units[key]) for key in keys) for label, keys in strata.items()}, share)
    for label, keys in strata.items():
        target = targets[label]
        if len(keys) < 2:
            continue
        order = sorted(keys, key=lambda key: hashlib.blake2b(f"{purpose} {seed} ".encode() + key).digest())
        chosen = []
        for key in order:
            if len(units[key]) <= target:
                chosen.append(key)
                target -= len(units[key])
        if not chosen and groups is not None:  # every group is larger than the share
            chosen = [min(order, key=lambda key: len(units[key]))]
        for key in chosen:
            held[units[key]] = True
    if not held.any() or held.all():
        kind = "distinct volumes" if groups is None else "groups"
        raise ValueError(f"{len(samples)} samples in {len(units)} {kind} are too few to hold {purpose} out")
    return held


def _targets(sizes: dict[int, int], share: float | int) -> dict[int, int]:
    """How many samples of every class are held out: its share, or a total apportioned by largest remainders."""
    if not isinstance(share, int):
        return {label: max(1, round(share * size)) for label, size in sizes.items()}
    total = sum(sizes.values())
    targets = {label: share * size // total for label, size in sizes.items()}
    left = share - sum(targets.values())
    for label in sorted(sizes, key=lambda label: (-(share * sizes[label] % total), label))[:left]:
        targets[label] += 1
    return targets


def holdout(
    samples: Samples, share: float | int, seed: int, purpose: str = "validation", groups: Sequence[str] | None = None
) -> tuple[Samples, Samples]:
    """Split samples in (kept, held out), as `held_out` chooses."""
    held = held_out(samples, share, seed, purpose, groups)
    return samples.take(~held), samples.take(held)
