"""Exact integer arithmetic with torch's floating-point kernels: which dtype holds the sums, and the contraction.

A float32 sum of integers is exact in any order while every partial sum stays below 2**24, provided the kernel sums
products and nothing else. oneDNN's convolutions do; algorithms of the Winograd kind, reduced precision and autocast
do not, so those are never used: float64, or cuDNN switched off, stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.ir.graph import Shape, Window
from qtt_hw.nn.window import flat_padding

__all__ = ["FLOAT32_LIMIT", "contract", "exact_arithmetic", "full_precision", "holding_dtype", "input_integers"]

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
    """No autocast: the fake quantisers do their own rounding."""
    return torch.autocast(device.type, enabled=False)


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """No autocast, and no cuDNN, whose algorithms are not all sums of products."""
    with full_precision(device):
        if device.type == "cuda":
            with torch.backends.cudnn.flags(enabled=False):
                yield
        else:
            yield


def contract(x: Tensor, weight: Tensor, window: Window, shape: Shape) -> Tensor:
    """sum over taps, in of weight[out, in, taps] * x[n, in, v * stride + taps - before], in the dtype of x.

    Parameters
    ----------
    x : float tensor, [N, C, D, H, W]
    weight : float tensor, [out, C, kd, kh, kw]
    window : Window
    shape : tuple of int
        (D, H, W, C).
    """
    weight = weight.to(x.dtype)
    pairs = window.padding
    if window.kernel == shape[:3] and not any(map(any, pairs)):
        # The kernel covers the whole map: one matrix product, in the order C, D, H, W on both sides.
        return F.linear(x.flatten(1), weight.flatten(1))[:, :, None, None, None]
    if any(before != after for before, after in pairs):
        x = F.pad(x, flat_padding(pairs))
        pads = (0, 0, 0)
    else:
        pads = (pairs[0][0], pairs[1][0], pairs[2][0])
    stride = window.stride
    if window.kernel == (1, 1, 1) and stride != (1, 1, 1):
        # oneDNN's strided pointwise convolution writes beyond its workspace in the backward pass (its issue 6035).
        d, h, w = stride
        x, stride = x[:, :, ::d, ::h, ::w].contiguous(memory_format=torch.channels_last_3d), (1, 1, 1)
    if x.shape[1] == 1:
        # One channel is both channels-last and not, by its strides. Taken as channels-last, oneDNN returns garbage
        # for a strided kernel with a single output along W (seen in PyTorch 2.13); these strides say that it is not.
        x = x.contiguous().flatten().view(x.shape)
    return F.conv3d(x, weight.contiguous(memory_format=torch.channels_last_3d), None, stride, pads)


def input_integers(x: Tensor, fmt: Format) -> Tensor:
    """x * 2**frac, float32 in channels-last memory; ValueError unless it is integers of the format."""
    integers = (x.to(torch.float64) * 2.0**fmt.frac).to(torch.float32)
    if not torch.equal(fmt.saturate(integers.round()), integers):
        raise ValueError(
            f"an input value is not an integer of {fmt.minimum} to {fmt.maximum} times 2**{-fmt.frac}, "
            f"the model's input format"
        )
    return integers.contiguous(memory_format=torch.channels_last_3d)
