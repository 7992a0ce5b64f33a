"""MobileNetV2 in 3D: inverted residual blocks with depthwise 3D convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["MobileNetV23d"]

#: Expansion, channels, blocks, stride of the first one.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _normed(taken: int, made: int, kernel: int, stride: int | tuple[int, int, int], groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv3d(taken, made, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm3d(made)]


class InvertedResidual(nn.Module):
    """Expanded, convolved channel by channel, and projected; added to the input where the shapes agree."""

    def __init__(self, taken: int, made: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = taken * expansion
        layers = [] if expansion == 1 else [*_normed(taken, hidden, 1, 1), nn.ReLU6(inplace=True)]
        layers += [*_normed(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*layers, *_normed(hidden, made, 1, 1))
        self.residual = stride == 1 and taken == made

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class MobileNetV23d(nn.Module):
    """Logits [N, classes] of clips [N, 3, 16, 112, 112].

    Köpüklü, Kose, Gunduz, Rigoll, "Resource efficient 3D convolutional neural networks", ICCV workshops 2019,
    arXiv:1904.02422; after Sandler et al., arXiv:1801.04381.

    Parameters
    ----------
    classes : int
        600 of Kinetics-600.
    width : float
        Multiplies the channels of all blocks.
    blocks : sequence of (expansion, channels, blocks, stride of the first one)
    features : int
        Channels that the linear layer reads.
    """

    def __init__(
        self,
        classes: int = 600,
        width: float = 1.0,
        blocks: Sequence[tuple[int, int, int, int]] = BLOCKS,
        features: int = 1280,
    ) -> None:
        super().__init__()
        channels = int(32 * width)
        layers = [*_normed(3, channels, 3, (1, 2, 2)), nn.ReLU6(inplace=True)]
        for expansion, base, count, stride in blocks:
            made = int(base * width)
            for index in range(count):
                layers.append(InvertedResidual(channels, made, stride if index == 0 else 1, expansion))
                channels = made
        layers += [*_normed(channels, features, 1, 1), nn.ReLU6(inplace=True)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(features, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = nn.functional.avg_pool3d(x, x.shape[-3:])
        logits: Tensor = self.classifier(x.view(x.size(0), -1))
        return logits
