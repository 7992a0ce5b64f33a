"""Data sets as bytes with labels, splits by hash, and augmentation; optional packages only where a source needs one."""

from qtt_hw.data.augment import Augmentation, augment
from qtt_hw.data.samples import Samples, Splits
from qtt_hw.data.sources import load

__all__ = ["Augmentation", "Samples", "Splits", "augment", "load"]
