"""Samples of a data set of files before they are split: by file, with the groups that a split must not cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.rotations import all_rotations
from qtt_hw.data.samples import Samples, held_out

__all__ = ["Collection"]


@dataclass(frozen=True, eq=False)
class Collection:
    """Samples with what decides on which side of a split they may stand.

    Parameters
    ----------
    samples : Samples
        One a file: what validation and test read, and training too unless `training` is given.
    groups : tuple of str, [N]
        Samples of one group stay on one side.
    labels : tuple of str
        Class names, by index.
    test, validation : bool array, [N], optional
        The set's own test and validation samples.
    training : uint8 array, [N, K, D, H, W, C], optional
        What is trained on in place of a sample: K others from the same file.
    rotated : bool
        Every sample stands for its twelve rotations.
    read : str
        What the set's files hold, in a few words.
    notes : tuple of str
        What the user should know, such as folders that were passed over.
    """

    samples: Samples
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    test: NDArray[np.bool_] | None = None
    training: NDArray[np.uint8] | None = None
    rotated: bool = False
    validation: NDArray[np.bool_] | None = None
    read: str = ""
    notes: tuple[str, ...] = ()

    def split(self, validation: float | int, test: float | int, seed: int) -> tuple[Samples, Samples, Samples]:
        """(training, validation, test); shares are of what is held out where the set has no samples of its own."""
        own = self.test
        if own is None:
            own = np.zeros(len(self.samples), dtype=bool)
            open_to = np.flatnonzero(~own if self.validation is None else ~self.validation)
            groups = [self.groups[i] for i in open_to]
            own[open_to] = held_out(self.samples.take(open_to), test, seed, "test", groups)
        left = np.flatnonzero(~own)
        if self.validation is not None:
            held = self.validation[left]
            return self._train(left[~held]), self._read(left[held]), self._read(np.flatnonzero(own))
        held = held_out(self.samples.take(left), validation, seed, groups=[self.groups[i] for i in left])
        return self._train(left[~held]), self._read(left[held]), self._read(np.flatnonzero(own))

    def _train(self, chosen: NDArray[np.int64]) -> Samples:
        if self.training is None:
            return self._read(chosen)
        x = self.training[chosen]
        return Samples(x.reshape(-1, *x.shape[2:]), self.samples.y[chosen].repeat(x.shape[1]))

    def _read(self, chosen: NDArray[np.int64]) -> Samples:
        samples = self.samples.take(chosen)
        return all_rotations(samples) if self.rotated else samples
