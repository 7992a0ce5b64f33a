"""The windowed contraction in torch: for training and for exact evaluation."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from qtt_hw.nn.window import flat_padding
from qtt_hw.window import Window

__all__ = ["contract"]


def contract(x: Tensor, weight: Tensor, window: Window, lead: int = 1, trail: int = 1, groups: int = 1) -> Tensor:
    """y[n, (lead, out, trail), v] = sum over taps, in of weight[out, in, taps] * x[n, (lead, in, trail), v'].

    v' = v * stride + taps * dilation - before; computed in the dtype of x, as sums of products and nothing else.

    Parameters
    ----------
    x : float tensor, [N, lead * in * trail, D, H, W], or [N, groups * in, D, H, W]
    weight : float tensor, [out, in, kd, kh, kw], or [groups * out, in, kd, kh, kw]
    window : Window
    lead, trail : int
        Sizes of the channel modes that are carried along.
    groups : int
        Of channels, each with weights of its own; where there are some, no modes are carried.
    """
    weight = weight.to(x.dtype)
    if window.kernel == (1, 1, 1) and window.stride != (1, 1, 1):
        # oneDNN's strided pointwise convolution writes beyond its workspace in the backward pass (its issue 6035).
        d, h, w = window.stride
        x = F.pad(x, flat_padding(window.padding))[:, :, ::d, ::h, ::w]
        x, window = x.contiguous(memory_format=torch.channels_last_3d), Window()
    if lead * trail == 1:
        return _convolve(x, weight, window, groups)
    if window == Window():
        return _pointwise(x, weight, lead, trail)
    if weight.shape[1] == 1 and x.dtype == torch.float32:
        return _depthwise(x, weight, window, lead, trail)
    # Carried indices join the batch: [N, lead, in, trail, ...] -> [N * lead * trail, in, ...].
    n, (out, taken), volume = x.shape[0], weight.shape[:2], x.shape[2:]
    x = x.reshape(n, lead, taken, trail, *volume).transpose(2, 3).reshape(-1, taken, *volume)
    y = _convolve(x, weight, window)
    y = y.reshape(n, lead, trail, out, *y.shape[2:]).transpose(2, 3)
    return y.reshape(n, lead * out * trail, *y.shape[4:]).contiguous(memory_format=torch.channels_last_3d)


def _pointwise(x: Tensor, weight: Tensor, lead: int, trail: int) -> Tensor:
    """A kernel of one tap with carried modes: a matrix product over the middle of the channels, in their own memory."""
    x = x.permute(0, 2, 3, 4, 1)
    out, taken = weight.shape[:2]
    matrix = weight.reshape(out, taken)
    shape = x.shape[:4]
    if trail == 1:
        y = x.reshape(-1, taken) @ matrix.T
    else:
        y = matrix @ x.reshape(-1, taken, trail)
    return y.reshape(*shape, lead * out * trail).permute(0, 4, 1, 2, 3)


def _depthwise(x: Tensor, weight: Tensor, window: Window, lead: int, trail: int) -> Tensor:
    """One input channel for every carried index, each a group of its own; faster than as many batches."""
    groups, out = lead * trail, weight.shape[0]
    y = _convolve(x, weight.repeat(groups, 1, 1, 1, 1), window, groups)
    y = y.permute(0, 2, 3, 4, 1)
    split = y.reshape(*y.shape[:4], lead, trail, out).transpose(-1, -2)
    return split.reshape(*y.shape).permute(0, 4, 1, 2, 3)


def _convolve(x: Tensor, weight: Tensor, window: Window, groups: int = 1) -> Tensor:
    pairs = window.padding
    if groups == 1 and window.kernel == tuple(x.shape[2:]) and not any(map(any, pairs)):
        # The kernel covers the whole map: one matrix product, in the order C, D, H, W on both sides.
        return F.linear(x.flatten(1), weight.flatten(1))[:, :, None, None, None]
    if _without_kernels(x):
        return _unfolded(x, weight, window, groups)
    if any(before != after for before, after in pairs):
        x = F.pad(x, flat_padding(pairs))
        pads = (0, 0, 0)
    else:
        pads = (pairs[0][0], pairs[1][0], pairs[2][0])
    if x.shape[1] == 1:
        # One channel is both channels-last and not, by its strides. Taken as channels-last, oneDNN returns garbage
        # for a strided kernel with a single output along W (seen in PyTorch 2.13); these strides say that it is not.
        x = x.contiguous().flatten().view(x.shape)
    weight = weight.contiguous(memory_format=torch.channels_last_3d)
    return F.conv3d(x, weight, None, window.stride, pads, window.dilation, groups)


def _without_kernels(x: Tensor) -> bool:
    """Whether no good convolution is at hand: on CUDA with cuDNN off, torch has one that takes sample after sample."""
    return x.is_cuda and not torch.backends.cudnn.enabled


def _unfolded(x: Tensor, weight: Tensor, window: Window, groups: int = 1) -> Tensor:
    """The same as a matrix product for each group, over every position's taps side by side."""
    x = F.pad(x, flat_padding(window.padding))
    for axis, (taps, stride, dilation) in enumerate(
        zip(window.kernel, window.stride, window.dilation, strict=True), start=2
    ):
        # [..., positions, ...] to [..., outputs, ..., taps]
        x = x.unfold(axis, dilation * (taps - 1) + 1, stride)[..., ::dilation]
    n, channels, *positions = x.shape[:5]
    taken = channels // groups
    rows = (
        x.reshape(n, groups, taken, *x.shape[2:])
        .permute(1, 0, 3, 4, 5, 2, 6, 7, 8)
        .reshape(groups, -1, taken * math.prod(window.kernel))
    )
    matrices = weight.reshape(groups, -1, rows.shape[2]).transpose(1, 2)
    y = (rows @ matrices).reshape(groups, n, *positions, -1)
    return y.permute(1, 0, 5, 2, 3, 4).reshape(n, -1, *positions)
