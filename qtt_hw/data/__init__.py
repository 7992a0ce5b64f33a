"""Data sets as bytes with labels, splits by hash, and augmentation; optional packages only where a source needs one."""

from qtt_hw.data.augment import Augmentation, augment
from qtt_hw.data.samples import Samples, Splits
from qtt_hw.data.sources import load
from qtt_hw.data.summary import DataSummary, summarise

__all__ = ["Augmentation", "DataSummary", "Samples", "Splits", "augment", "load", "summarise"]
