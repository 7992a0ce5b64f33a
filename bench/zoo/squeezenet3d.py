"""SqueezeNet in 3D: fire modules with batch norm, every second one with a bypass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SqueezeNet3d"]


class Fire(nn.Module):
    """Squeezed to few channels, then expanded by 1x1x1 and by 3x3x3 kernels side by side."""

    def __init__(self, taken: int, squeezed: int, expanded: int, bypass: bool) -> None:
        super().__init__()
        self.squeeze = nn.Conv3d(taken, squeezed, 1)
        self.squeeze_norm = nn.BatchNorm3d(squeezed)
        self.pointwise = nn.Conv3d(squeezed, expanded, 1)
        self.pointwise_norm = nn.BatchNorm3d(expanded)
        self.windowed = nn.Conv3d(squeezed, expanded, 3, padding=1)
        self.windowed_norm = nn.BatchNorm3d(expanded)
        self.relu = nn.ReLU(inplace=True)
        self.bypass = bypass

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.relu(self.squeeze_norm(self.squeeze(x)))
        parts = (self.pointwise_norm(self.pointwise(squeezed)), self.windowed_norm(self.windowed(squeezed)))
        y = torch.cat(parts, 1)
        if self.bypass:
            y = x + y
        made: Tensor = self.relu(y)
        return made


class SqueezeNet3d(nn.Module):
    """Logits [N, classes] of clips [N, 3, 16, 112, 112].

    Köpüklü, Kose, Gunduz, Rigoll, "Resource efficient 3D convolutional neural networks", ICCV workshops 2019,
    arXiv:1904.02422; after Iandola et al., arXiv:1602.07360.

    Parameters
    ----------
    classes : int
        600 of Kinetics-600.
    width : int
        Channels of the first convolution; the fire modules' are in proportion.
    """

    def __init__(self, classes: int = 600, width: int = 64) -> None:
        super().__init__()
        one = width // 4

        def pool() -> nn.Module:
            return nn.MaxPool3d(3, stride=2, padding=1)

        self.features = nn.Sequential(
            nn.Conv3d(3, width, 3, stride=(1, 2, 2), padding=1),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            pool(),
            Fire(width, one, 4 * one, bypass=False),
            Fire(8 * one, one, 4 * one, bypass=True),
            pool(),
            Fire(8 * one, 2 * one, 8 * one, bypass=False),
            Fire(16 * one, 2 * one, 8 * one, bypass=True),
            pool(),
            Fire(16 * one, 3 * one, 12 * one, bypass=False),
            Fire(24 * one, 3 * one, 12 * one, bypass=True),
            pool(),
            Fire(24 * one, 4 * one, 16 * one, bypass=False),
            Fire(32 * one, 4 * one, 16 * one, bypass=True),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv3d(32 * one, classes, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool3d(1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.classifier(self.features(x))
        return x.view(x.size(0), -1)
