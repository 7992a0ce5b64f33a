"""Batches in an order, with changes, that are a function of (seed, phase, epoch, sample) alone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qtt_hw.data import Augmentation, Samples, augment
from qtt_hw.data.augment import hash_words
from qtt_hw.graph import InputSpec
from qtt_hw.graph.preprocess import preprocess
from qtt_hw.training.processes import ALONE, Processes
from qtt_hw.training.resident import Resident

__all__ = ["Batches", "derived_seed", "to_tensor"]


def derived_seed(seed: int, *parts: int | str) -> int:
    """A 63-bit seed of its own for each purpose: a hash of the run's seed and the parts."""
    keys = tuple(zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts)
    return int(hash_words((seed, *keys), np.zeros(1, dtype=np.int64), 1)[0, 0] >> np.uint64(1))


def to_tensor(spec: InputSpec, raw: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Raw uint8 [N, D, H, W, C] as float32 integers * 2**-frac [N, C', D', H', W'], channels last in memory."""
    x = torch.from_numpy(preprocess(spec, raw)).to(device).permute(0, 4, 1, 2, 3)
    return x.to(torch.float32) * 2.0**-spec.edge.format.frac


@dataclass(frozen=True, eq=False)
class Batches:
    """Training batches; any of them can be made without the ones before it.

    Parameters
    ----------
    samples : Samples
    spec : InputSpec
    augmentation : Augmentation
    batch : int
        Samples in a batch. What is left over at an epoch's end is dropped (another part each epoch).
    seed : int
    device : torch.device
    processes : Processes
        Each makes its own part of every batch.
    resident : Resident, optional
        The samples on the device, where they are.
    """

    samples: Samples
    spec: InputSpec
    augmentation: Augmentation
    batch: int
    seed: int
    device: torch.device
    processes: Processes = ALONE
    resident: Resident | None = None

    @property
    def size(self) -> int:
        """Samples in a batch: no more than there are."""
        return min(self.batch, len(self.samples))

    @property
    def per_epoch(self) -> int:
        return len(self.samples) // self.size

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The permutation of the samples in an epoch."""
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.samples))

    def make(self, epoch: int, index: int, order: NDArray[np.int64] | None = None) -> tuple[Tensor, Tensor]:
        """Batch `index` of an epoch, or this process's part of it: float32 [N, C, D, H, W] and int64 [N]."""
        order = self.order(epoch) if order is None else order
        chosen = self._chosen(index, order)
        if self.resident is not None:
            return self.resident.batch(self.spec, self.augmentation, self.seed, epoch, chosen)
        raw = augment(self.samples.x[chosen], self.augmentation, self.seed, epoch, chosen)
        return to_tensor(self.spec, raw, self.device), torch.from_numpy(self.samples.y[chosen]).to(self.device)

    def turned(self, epoch: int, index: int, order: NDArray[np.int64]) -> Tensor:
        """By how many turns the augmentation turned each sample of such a batch: int64 [N]."""
        turns = self.augmentation.turned(self.samples.sample_shape, self.seed, epoch, self._chosen(index, order))
        return torch.from_numpy(turns).to(self.device)

    def _chosen(self, index: int, order: NDArray[np.int64]) -> NDArray[np.int64]:
        return order[index * self.size : (index + 1) * self.size][self.processes.part(self.size)]

    def some(self, count: int, epoch: int, *, augmented: bool = True) -> list[Tensor]:
        """The inputs of the first `count` whole batches of an epoch that is used for nothing else."""
        order = self.order(epoch)
        augmentation = self.augmentation if augmented else Augmentation()
        source = replace(self, augmentation=augmentation, processes=ALONE)
        return [source.make(epoch, index, order)[0] for index in range(min(count, self.per_epoch))]
