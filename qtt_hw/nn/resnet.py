"""The residual networks for small images: 6n + 2 layers of 16, 32 and 64 channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from qtt_hw.nn.subsample import Subsample

__all__ = ["BasicBlock", "ResNet"]

Shortcut = Literal["convolution", "pad"]


class BasicBlock(nn.Module):
    """relu(norm2(conv2(relu(norm1(conv1(x))))) + shortcut(x)), both convolutions 3x3.

    Parameters
    ----------
    in_channels, out_channels : int
    stride : int
        Of the first convolution and of the shortcut, which is the identity where nothing changes.
    shortcut : "convolution" or "pad"
        Where something does: a 3x3 convolution with batch norm, or every stride-th position between channels of zeros.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1, self.norm1 = _convolution(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels)
        self.conv2, self.norm2 = _convolution(out_channels, out_channels, 1), nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            if shortcut == "pad":
                self.shortcut = Subsample(in_channels, out_channels, stride)
            else:
                conv = _convolution(in_channels, out_channels, stride)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Logits [N, classes] of images [N, C, H, W]: a convolution, three stages of blocks, the average, a linear layer.

    Deep residual learning for image recognition, doi 10.1109/CVPR.2016.90, section 4.2, which has the shortcut "pad".

    Parameters
    ----------
    classes : int
    depth : int
        6n + 2 weighted layers: n blocks a stage.
    input_shape : (C, 1, H, W)
    widths : (int, int, int)
        Channels of the stages; the second and the third begin with stride 2.
    shortcut : "convolution" or "pad"
        See `BasicBlock`.
    """

    def __init__(
        self,
        *,
        classes: int,
        depth: int = 20,
        input_shape: Sequence[int] = (3, 1, 32, 32),
        widths: Sequence[int] = (16, 32, 64),
        shortcut: Shortcut = "convolution",
    ) -> None:
        super().__init__()
        if not isinstance(depth, int) or not all(isinstance(width, int) and width > 0 for width in widths):
            raise ValueError(f"resnet: depth and widths must be whole numbers, got {depth!r} and {list(widths)}")
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"resnet: depth must be 6n + 2, such as 20, 32, 44 or 56, got {depth}")
        if shortcut not in ("convolution", "pad"):
            raise ValueError(f"resnet: shortcut must be convolution or pad, got {shortcut!r}")
        if len(widths) != 3:
            raise ValueError(f"resnet: {len(widths)} widths for 3 stages")
        if len(input_shape) != 4 or input_shape[1] != 1:
            raise ValueError(f"resnet: takes images (C, 1, H, W), got {list(input_shape)}")
        channels = widths[0]
        self.stem = nn.Sequential(_convolution(input_shape[0], channels, 1), nn.BatchNorm2d(channels), nn.ReLU())
        stages = []
        for index, width in enumerate(widths):
            layers = []
            for block in range(blocks):
                layers.append(BasicBlock(channels, width, 2 if index > 0 and block == 0 else 1, shortcut))
                channels = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stages(self.stem(x)))
        return logits


def _convolution(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    """3x3 with padding, for batch norm behind it."""
    conv = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
