"""The four reference networks of MLPerf Tiny: for keywords, persons, small images, and the sounds of machines.

Banbury et al., "MLPerf Tiny Benchmark", NeurIPS datasets and benchmarks 2021, arXiv:2106.07597.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["DSCNN", "Autoencoder", "MobileNetV1", "ResNet8"]


def _separable(taken: int, made: int, stride: int = 1) -> list[nn.Module]:
    """A depthwise and a pointwise convolution, each with batch norm and ReLU."""
    return [
        nn.Conv2d(taken, taken, 3, stride, padding=1, groups=taken),
        nn.BatchNorm2d(taken),
        nn.ReLU(),
        nn.Conv2d(taken, made, 1),
        nn.BatchNorm2d(made),
        nn.ReLU(),
    ]


class DSCNN(nn.Module):
    """Logits [N, classes] of spectrograms [N, 1, 49, 10]: keyword spotting.

    Zhang, Suda, Lai, Chandra, "Hello Edge: keyword spotting on microcontrollers", arXiv:1711.07128, as in MLPerf Tiny.

    Parameters
    ----------
    classes : int
        12 of Speech Commands.
    width : int
        Channels of all convolutions.
    """

    def __init__(self, classes: int = 12, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.ZeroPad2d((1, 1, 4, 5)),
            nn.Conv2d(1, width, (10, 4), stride=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.2),
        )
        self.blocks = nn.Sequential(*(layer for _ in range(4) for layer in _separable(width, width)))
        self.head = nn.Sequential(nn.Dropout(0.4), nn.AvgPool2d((25, 5)), nn.Flatten(), nn.Linear(width, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.first(x)))
        return logits


class MobileNetV1(nn.Module):
    """Logits [N, classes] of images [N, 3, 96, 96]: visual wake words.

    Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications",
    arXiv:1704.04861, at a quarter of the channels as in MLPerf Tiny.

    Parameters
    ----------
    classes : int
        Person or none.
    width : float
        Of the original channels.
    """

    def __init__(self, classes: int = 2, width: float = 0.25) -> None:
        super().__init__()
        channels = int(32 * width)
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, 3, stride=2, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        for base, stride in [
            (64, 1),
            (128, 2),
            (128, 1),
            (256, 2),
            (256, 1),
            (512, 2),
            *[(512, 1)] * 5,
            (1024, 2),
            (1024, 1),
        ]:
            layers += _separable(channels, int(base * width), stride)
            channels = int(base * width)
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return logits


class Residual(nn.Module):
    """Two convolutions, added to their input or to a pointwise convolution of it."""

    def __init__(self, taken: int, made: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(taken, made, 3, stride, padding=1)
        self.norm1 = nn.BatchNorm2d(made)
        self.conv2 = nn.Conv2d(made, made, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(made)
        self.shortcut = nn.Identity() if taken == made else nn.Conv2d(taken, made, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        made: Tensor = self.relu(y + self.shortcut(x))
        return made


class ResNet8(nn.Module):
    """Logits [N, classes] of images [N, 3, 32, 32]: image classification.

    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", doi 10.1109/CVPR.2016.90, with three blocks of
    16, 32 and 64 channels as in MLPerf Tiny.

    Parameters
    ----------
    classes : int
        10 of CIFAR-10.
    width : int
        Channels of the first block.
    """

    def __init__(self, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(
            Residual(width, width, 1), Residual(width, 2 * width, 2), Residual(2 * width, 4 * width, 2)
        )
        self.head = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(4 * width, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.first(x)))
        return logits


class Autoencoder(nn.Module):
    """Reconstructed spectra [N, inputs] of spectra [N, inputs]: anomaly detection.

    Koizumi et al., "Description and discussion on DCASE2020 challenge task 2", arXiv:2006.05822, as in MLPerf Tiny.

    Parameters
    ----------
    inputs : int
        Five frames of 128 bands.
    width, code : int
        Outputs of the hidden layers, and of the one in the middle.
    """

    def __init__(self, inputs: int = 640, width: int = 128, code: int = 8) -> None:
        super().__init__()
        widths = [inputs, *[width] * 4, code, *[width] * 4]
        layers: list[nn.Module] = []
        for taken, made in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(taken, made), nn.BatchNorm1d(made), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, inputs))

    def forward(self, x: Tensor) -> Tensor:
        restored: Tensor = self.layers(x)
        return restored
