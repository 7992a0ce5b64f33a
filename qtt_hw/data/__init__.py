"""Data sets as raw bytes with labels, held-out splits by hash, and augmentation; other packages where a source needs one."""

from qtt_hw.data.augment import Augmentation, augment
from qtt_hw.data.samples import Samples, Splits
from qtt_hw.data.sources import load

__all__ = ["Augmentation", "Samples", "Splits", "augment", "load"]
