"""Exact integer arithmetic with torch's floating-point kernels: which dtype holds the sums, and under which settings.

A float32 sum of integers is exact in any order while every partial sum stays below 2**24, provided the kernel sums
products and nothing else. oneDNN's convolutions do; algorithms of the Winograd kind, reduced precision and autocast
do not, so those are never used: float64, or cuDNN switched off, stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format

__all__ = ["FLOAT32_LIMIT", "exact_arithmetic", "full_precision", "holding_dtype", "input_integers"]

#: Magnitudes below this are exact integers in float32.
FLOAT32_LIMIT = 1 << 24


def _float32_is_exact(device: torch.device) -> bool:
    """Whether float32 contractions on this device sum float32 products, now, under the process's settings."""
    onednn = torch.backends.mkldnn
    if device.type != "cpu" or not onednn.is_available() or not onednn.enabled:
        return False
    if torch.get_float32_matmul_precision() != "highest":
        return False
    # Since PyTorch 2.9 each kind of operation has a precision of its own.
    kinds = (onednn, getattr(onednn, "conv", None), getattr(onednn, "matmul", None))
    return all(getattr(kind, "fp32_precision", "none") in ("none", "ieee") for kind in kinds)


def holding_dtype(bound: int, device: torch.device) -> torch.dtype:
    """float32 where it holds sums of magnitude up to `bound` exactly, else float64."""
    return torch.float32 if bound < FLOAT32_LIMIT and _float32_is_exact(device) else torch.float64


def full_precision(device: torch.device) -> AbstractContextManager[None]:
    """A context without autocast: the fake quantisers do their own rounding."""
    return torch.autocast(device.type, enabled=False)


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """A context without autocast, and without cuDNN, whose algorithms are not all sums of products."""
    with full_precision(device):
        if device.type == "cuda":
            with torch.backends.cudnn.flags(enabled=False):
                yield
        else:
            yield


def input_integers(x: Tensor, fmt: Format) -> Tensor:
    """x * 2**frac, float32 in channels-last memory; ValueError unless it is integers of the format."""
    integers = (x.to(torch.float64) * 2.0**fmt.frac).to(torch.float32)
    if not torch.equal(fmt.saturate(integers.round()), integers):
        raise ValueError(
            f"an input value is not an integer of {fmt.minimum} to {fmt.maximum} times 2**{-fmt.frac}, "
            f"the model's input format"
        )
    return integers.contiguous(memory_format=torch.channels_last_3d)
