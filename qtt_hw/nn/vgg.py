"""VGG-16 for small images: thirteen convolutions with batch norm, a max pool behind each of five groups."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

__all__ = ["VGG"]

#: Channels of configuration D's convolutions, by group.
GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG(nn.Sequential):
    """Logits [N, classes] of images [N, C, H, W]: 3x3 convolutions, batch norm, ReLU; one linear layer in the end.

    Very deep convolutional networks for large-scale image recognition, arXiv:1409.1556, configuration D, as it is used
    on CIFAR: with batch norm, and one linear layer on the 512 features that five pools leave of 32 x 32 pixels, in
    place of three.

    Parameters
    ----------
    classes : int
    input_shape : (C, 1, H, W)
        H and W at least 32.
    groups : sequence of sequences of int
        Channels of the convolutions between pools.
    """

    def __init__(
        self,
        *,
        classes: int,
        input_shape: Sequence[int] = (3, 1, 32, 32),
        groups: Sequence[Sequence[int]] = GROUPS,
    ) -> None:
        channels, depth, *size = input_shape
        if depth != 1 or min(size) >> len(groups) < 1:
            least = 1 << len(groups)
            raise ValueError(f"vgg: takes images (C, 1, H, W) of at least {least} x {least}, got {list(input_shape)}")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for g, widths in enumerate(groups, start=1):
            for i, width in enumerate(widths, start=1):
                conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                block = OrderedDict(conv=conv, norm=nn.BatchNorm2d(width), relu=nn.ReLU())
                layers[f"conv{g}_{i}"] = nn.Sequential(block)
                channels = width
            layers[f"pool{g}"] = nn.MaxPool2d(2)
        layers["average"], layers["flatten"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        layers["linear"] = nn.Linear(channels, classes)
        super().__init__(layers)
