"""ShuffleNetV2 in 3D: channels split, one half convolved channel by channel, joined and shuffled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["ShuffleNetV23d"]


def shuffled(x: Tensor, groups: int) -> Tensor:
    """The channels of `groups` equal groups, one of each in turn."""
    n, c, d, h, w = x.shape
    x = x.view(n, groups, c // groups, d, h, w).transpose(1, 2).contiguous()
    return x.view(n, c, d, h, w)


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv3d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
    return [convolution, nn.BatchNorm3d(channels)]


def _pointwise(taken: int, made: int) -> list[nn.Module]:
    return [nn.Conv3d(taken, made, 1, bias=False), nn.BatchNorm3d(made), nn.ReLU(inplace=True)]


class Unit(nn.Module):
    """Of equal shape, with half of the channels left as they are; or strided, with both branches on all channels."""

    def __init__(self, taken: int, made: int, stride: int) -> None:
        super().__init__()
        half = made // 2
        self.stride = stride
        read = taken if stride == 2 else half
        self.short = nn.Sequential(*_depthwise(taken, 2), *_pointwise(taken, half)) if stride == 2 else nn.Identity()
        self.long = nn.Sequential(*_pointwise(read, half), *_depthwise(half, stride), *_pointwise(half, half))

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            return shuffled(torch.cat((self.short(x), self.long(x)), dim=1), 2)
        half = x.shape[1] // 2
        kept, read = x[:, :half], x[:, half:]
        return shuffled(torch.cat((kept, self.long(read)), dim=1), 2)


class ShuffleNetV23d(nn.Module):
    """Logits [N, classes] of clips [N, 3, 16, 112, 112].

    Köpüklü, Kose, Gunduz, Rigoll, "Resource efficient 3D convolutional neural networks", ICCV workshops 2019,
    arXiv:1904.02422; after Ma et al., arXiv:1807.11164.

    Parameters
    ----------
    classes : int
        600 of Kinetics-600.
    channels : sequence of int
        Of the first convolution, the three parts, and the last convolution.
    units : sequence of int
        Of the three parts.
    """

    def __init__(
        self,
        classes: int = 600,
        channels: Sequence[int] = (24, 116, 232, 464, 1024),
        units: Sequence[int] = (4, 8, 4),
    ) -> None:
        super().__init__()
        first, *parts, last = channels
        self.first = nn.Sequential(
            nn.Conv3d(3, first, 3, stride=(1, 2, 2), padding=1, bias=False),
            nn.BatchNorm3d(first),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, stride=2, padding=1),
        )
        made: list[nn.Module] = []
        taken = first
        for width, count in zip(parts, units, strict=True):
            made += [Unit(taken, width, 2), *(Unit(width, width, 1) for _ in range(count - 1))]
            taken = width
        self.parts = nn.Sequential(*made)
        self.last = nn.Sequential(*_pointwise(taken, last))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.last(self.parts(self.first(x)))
        x = nn.functional.avg_pool3d(x, x.shape[-3:])
        logits: Tensor = self.classifier(torch.flatten(x, 1))
        return logits
