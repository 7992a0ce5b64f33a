"""Single layers drawn at random for a value of a shape: convolutions, trains, pools, functions and what rearranges."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from torch import nn

from qtt_hw.nn import QTTConv3d, TTConv2d, TTConv3d, TTLinear
from qtt_hw.window import Window
from tests.drawn.layers import FUNCTIONS, Affine, Called, Narrowed, Padded, Shuffled

__all__ = ["LayerDrawing"]

ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.LeakyReLU,
    nn.ReLU6,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
    nn.Hardtanh,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardshrink,
    nn.Softshrink,
    nn.Tanhshrink,
    nn.PReLU,
)


class LayerDrawing:
    """Draws layers; a shape (C, ...) is that of what a layer reads, of two or three axes behind C, or none."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.axes = draw.choice([3, 3, 3, 2, 2, 0])

    @staticmethod
    def after(layer: nn.Module, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape behind a layer."""
        with torch.no_grad():
            return tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])

    def divisor(self, number: int, least: int = 1) -> int:
        return self.draw.choice([d for d in range(least, number + 1) if number % d == 0])

    def modes(self, number: int) -> tuple[int, int]:
        first = self.divisor(number)
        return first, number // first

    def _layer(self, shape: Sequence[int], depth: int) -> nn.Module | None:
        if not shape[1:]:
            kinds = ["linear"] * 4 + ["tt_linear"] * 2 + ["activation", "affine", "norm", "narrow"]
        else:
            kinds = ["convolution"] * 6 + ["train"] * (3 if self.axes == 3 else 1) + ["pool"] * 3
            kinds += ["activation"] * 2 + ["affine", "norm", "narrow", "shuffle", "padding"]
        return getattr(self, f"_{self.draw.choice(kinds)}")(shape)

    def point(self, shape: Sequence[int], channels: int, groups: int = 1) -> nn.Module:
        """A linear layer of each position."""
        if not shape[1:]:
            return nn.Linear(shape[0], channels)
        kind = nn.Conv3d if len(shape) == 4 else nn.Conv2d
        return kind(shape[0], channels, 1, bias=self.draw.random() < 0.5, groups=groups)

    def behind(self, layer: nn.Module, shape: Sequence[int]) -> nn.Module:
        """A layer with batch norm and an activation behind it, now and then."""
        parts = [layer]
        try:
            after = self.after(layer, shape)
        except (RuntimeError, ValueError):
            return layer
        if self.draw.random() < 0.5:
            parts.append(self._norm(after))
        match self.draw.choice(["relu", "relu", "other", "none"]):
            case "relu":
                parts.append(nn.ReLU())
            case "other":
                parts.append(self._activation(after))
        return nn.Sequential(*parts) if len(parts) > 1 else layer

    def _windows(self, shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Kernel, stride, padding and dilation along each axis."""
        draw = self.draw
        found: dict[str, list[int]] = {name: [] for name in ("kernel_size", "stride", "padding", "dilation")}
        for size in shape[1:]:
            kernel = draw.choice([1, 2, 3, 3, min(size, 4)])
            dilation = draw.choice([1, 1, 1, 2])
            stride, padding = draw.choice([1, 1, 1, 2, 3]), draw.randint(0, (kernel - 1) * dilation)
            if not readable(size, kernel, stride, padding, dilation):
                kernel, padding = 1, 0
            for name, value in zip(found, (kernel, stride, padding, dilation), strict=True):
                found[name].append(value)
        return {name: tuple(values) for name, values in found.items()}

    def _convolution(self, shape: Sequence[int]) -> nn.Module:
        draw, channels = self.draw, shape[0]
        groups = draw.choice([1, 1, channels, self.divisor(channels)])
        made = groups * draw.randint(1, max(1, 8 // groups))
        kind = nn.Conv3d if len(shape) == 4 else nn.Conv2d
        if draw.random() < 0.25:
            return self.behind(self.point(shape, made, groups), shape)
        windows = self._windows(shape)
        layer = kind(channels, made, groups=groups, bias=draw.random() < 0.5, **windows)
        return self.behind(layer, shape)

    def _train(self, shape: Sequence[int]) -> nn.Module | None:
        """A convolution in a tensor train."""
        draw, channels = self.draw, shape[0]
        made, windows = draw.choice([2, 3, 4, 6, 8]), self._windows(shape)
        options = {"bias": draw.random() < 0.5, "redundant_ranks": True, **windows}
        if len(shape) == 4 and draw.random() < 0.5:
            rank = draw.randint(1, 4)
            return self.behind(
                QTTConv3d(channels, made, self.modes(channels), self.modes(made), rank, **options), shape
            )
        kind = TTConv3d if len(shape) == 4 else TTConv2d
        ranks = [draw.randint(1, 4) for _ in range(len(shape))]
        return self.behind(kind(channels, made, ranks=ranks, **options), shape)

    def _linear(self, shape: Sequence[int]) -> nn.Module:
        return self.behind(nn.Linear(shape[0], self.draw.randint(2, 12), bias=self.draw.random() < 0.5), shape)

    def _tt_linear(self, shape: Sequence[int]) -> nn.Module:
        made = self.draw.choice([2, 4, 6, 8, 12])
        bias = self.draw.random() < 0.5
        layer = TTLinear(self.modes(shape[0]), self.modes(made), self.draw.randint(1, 4), bias, redundant_ranks=True)
        return self.behind(layer, shape)

    def _pool(self, shape: Sequence[int]) -> nn.Module:
        draw, cube = self.draw, len(shape) == 4
        how = draw.choice(["max", "average", "adaptive", "average of the map"])
        if how == "adaptive":
            sizes = tuple(self.divisor(size) for size in shape[1:])
            if draw.random() < 0.3:
                return nn.AdaptiveMaxPool3d(sizes) if cube else nn.AdaptiveMaxPool2d(sizes)
            return nn.AdaptiveAvgPool3d(sizes) if cube else nn.AdaptiveAvgPool2d(sizes)
        if how == "average of the map":
            return nn.AvgPool3d(tuple(shape[1:])) if cube else nn.AvgPool2d(tuple(shape[1:]))
        kernel = tuple(draw.randint(1, min(3, size)) for size in shape[1:])
        stride = kernel if draw.random() < 0.4 else tuple(draw.randint(1, 3) for _ in kernel)
        padding = tuple(draw.randint(0, k // 2) for k in kernel)
        ceil = draw.random() < 0.3
        if how == "max":
            kind = nn.MaxPool3d if cube else nn.MaxPool2d
            dilation = draw.choice([1, 1, 1, 2])
            return kind(kernel, stride, padding, dilation=dilation, ceil_mode=ceil)
        mean = nn.AvgPool3d if cube else nn.AvgPool2d
        return mean(kernel, stride, padding, ceil_mode=ceil, count_include_pad=draw.random() < 0.3)

    def _activation(self, shape: Sequence[int]) -> nn.Module:
        if self.draw.random() < 0.5:
            return self.draw.choice(ACTIVATIONS)()
        return Called(self.draw.choice(list(FUNCTIONS)))

    def _affine(self, shape: Sequence[int]) -> nn.Module:
        return Affine(shape[0], len(shape) - 1, self.draw.random() < 0.5)

    def _norm(self, shape: Sequence[int]) -> nn.Module:
        return {1: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}[len(shape)](shape[0])

    def _narrow(self, shape: Sequence[int]) -> nn.Module | None:
        if shape[0] < 2:
            return None
        count = self.draw.randint(1, shape[0] - 1)
        return Narrowed(self.draw.randint(0, shape[0] - count), count)

    def _shuffle(self, shape: Sequence[int]) -> nn.Module | None:
        groups = self.divisor(shape[0])
        return Shuffled(groups, shape) if 1 < groups < shape[0] else None

    def _padding(self, shape: Sequence[int]) -> nn.Module:
        return Padded([self.draw.randint(0, 1) for _ in range(2 * (len(shape) - 1))])


def readable(size: int, kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether an axis has a window, and each window something else than padding."""
    try:
        Window((1, 1, kernel), (1, 1, stride), ((0, 0), (0, 0), (padding, padding)), (1, 1, dilation)).axes(
            (1, 1, size, 1)
        )
    except ValueError:
        return False
    return True
