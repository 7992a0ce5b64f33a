"""What was read from a data source, in one line and as an object."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from qtt_hw.data.samples import Splits, sample_digests

__all__ = ["DataSummary", "summarise"]

#: Class names that are listed; of more the first and the last.
LISTED = 12


class DataSummary(BaseModel):
    """A data set as it was read; `held_out` names the splits that were held out of the training samples.

    `values` are the least and the greatest of the training samples, `notes` what may be wrong with them.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    read: str
    sample_shape: tuple[int, int, int, int]
    values: tuple[int, int]
    labels: tuple[str, ...]
    train: int
    validation: int
    test: int
    held_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line."""
        parts = ", ".join(
            f"{getattr(self, part)} {part}{' (held out)' if part in self.held_out else ''}"
            for part in ("train", "validation", "test")
        )
        low, high = self.values
        facts = [
            f"{self.name}: {self.read or 'arrays'}",
            f"samples D, H, W, C = {', '.join(map(str, self.sample_shape))} of values {low} to {high}",
            f"{len(self.labels)} classes: {_listed(self.labels)}",
            f"samples: {parts}",
        ]
        return "; ".join([*facts, *(f"note: {note}" for note in self.notes)])


def _listed(names: tuple[str, ...]) -> str:
    shown = names if len(names) <= LISTED else (*names[:3], "...", names[-1])
    return ", ".join(shown)


def summarise(splits: Splits) -> DataSummary:
    """What a data set holds, and what may be wrong with it."""
    train = splits.train.x
    values = (int(train.min()), int(train.max())) if train.size else (0, 0)
    return DataSummary(
        name=splits.name,
        read=splits.read,
        sample_shape=splits.train.sample_shape,
        values=values,
        labels=splits.labels,
        train=len(splits.train),
        validation=len(splits.validation),
        test=len(splits.test),
        held_out=splits.held_out,
        notes=(*splits.notes, *_doubts(splits, values)),
    )


def _doubts(splits: Splits, values: tuple[int, int]) -> list[str]:
    found = []
    if len(splits.train) and values[0] == values[1]:
        found.append(f"every value of the training samples is {values[0]}")
    for part in ("train", "validation", "test"):
        there = set(np.unique(splits[part].y).tolist())
        missing = tuple(name for index, name in enumerate(splits.labels) if index not in there)
        if missing:
            found.append(f"no {part} sample of {_listed(missing)}")
    for part in ("validation", "test"):
        greatest = int(splits[part].x.max()) if splits[part].x.size else 0
        if splits[part].x.size and (values[1] <= 1 < greatest or greatest <= 1 < values[1]):
            found.append(f"{part} values reach {greatest}, those of training {values[1]}")
    if "validation" not in splits.held_out:  # what was held out has none
        seen = set(sample_digests(splits.train.x))
        known = sum(digest in seen for digest in sample_digests(splits.validation.x))
        if known:
            found.append(f"{known} of the validation samples also stand in training")
    again = len(splits.test) - int(splits.unseen.sum())
    if again:
        found.append(f"{again} of the test samples also stand in training or validation")
    return found
