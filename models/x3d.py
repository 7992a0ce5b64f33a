"""An X3D-shaped video network, as its user would write it: depthwise convolutions, squeeze and excitation, swish.

Feichtenhofer, "X3D: expanding architectures for efficient video recognition", CVPR 2020, arXiv:2004.04730.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Channels times a gate each, of their means over time and space."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.squeeze, self.excite = nn.Conv3d(channels, hidden, 1), nn.Conv3d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(self.pool(x)))))
        return x * gate


class Block(nn.Module):
    """1 x 1 x 1 to `inner` channels, 3 x 3 x 3 depthwise, perhaps a gate, swish, 1 x 1 x 1 back; beside a shortcut."""

    def __init__(self, taken: int, made: int, stride: int, gated: bool) -> None:
        super().__init__()
        inner = int(2.25 * made)
        strides = (1, stride, stride)
        self.conv_a, self.norm_a = nn.Conv3d(taken, inner, 1, bias=False), nn.BatchNorm3d(inner)
        self.conv_b = nn.Conv3d(inner, inner, 3, strides, padding=1, groups=inner, bias=False)
        self.norm_b = nn.BatchNorm3d(inner)
        self.gate = SqueezeExcitation(inner, max(inner // 16, 4)) if gated else nn.Identity()
        self.swish = nn.SiLU()
        self.conv_c, self.norm_c = nn.Conv3d(inner, made, 1, bias=False), nn.BatchNorm3d(made)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or taken != made:
            self.shortcut = nn.Sequential(nn.Conv3d(taken, made, 1, strides, bias=False), nn.BatchNorm3d(made))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm_a(self.conv_a(x)))
        y = self.swish(self.gate(self.norm_b(self.conv_b(y))))
        return torch.relu(self.norm_c(self.conv_c(y)) + self.shortcut(x))


class X3D(nn.Module):
    """Logits [N, classes] of clips [N, 3, T, H, W]: all frames are kept until the mean at the end.

    Parameters
    ----------
    classes : int
    widths, depths : sequence of int
        Channels and blocks of each stage; every stage halves H and W, every other block has a gate.
    features : int
        Before the classifier.
    """

    def __init__(
        self,
        classes: int = 10,
        widths: Sequence[int] = (8, 16, 32),
        depths: Sequence[int] = (1, 2, 2),
        features: int = 64,
    ) -> None:
        super().__init__()
        first = widths[0]
        self.stem = nn.Sequential(
            nn.Conv3d(3, first, (1, 3, 3), (1, 2, 2), padding=(0, 1, 1), bias=False),
            nn.Conv3d(first, first, (5, 1, 1), padding=(2, 0, 0), groups=first, bias=False),
            nn.BatchNorm3d(first),
            nn.ReLU(),
        )
        blocks, taken = [], first
        for width, depth in zip(widths, depths, strict=True):
            for index in range(depth):
                blocks.append(Block(taken, width, 1 if index else 2, gated=index % 2 == 0))
                taken = width
        inner = int(2.25 * taken)
        self.blocks = nn.Sequential(*blocks)
        self.conv_5 = nn.Sequential(nn.Conv3d(taken, inner, 1, bias=False), nn.BatchNorm3d(inner), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.project, self.dropout = nn.Linear(inner, features, bias=False), nn.Dropout(0.2)
        self.classify = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.conv_5(self.blocks(self.stem(x)))).flatten(1)
        logits: Tensor = self.classify(self.dropout(torch.relu(self.project(y))))
        return logits
