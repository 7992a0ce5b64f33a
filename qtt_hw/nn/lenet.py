"""LeNet-5 as Caffe has it: two convolutions with max pools, two linear layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

__all__ = ["LeNet"]


class LeNet(nn.Sequential):
    """Logits [N, classes] of images [N, C, H, W]: convolutions 5x5 of 20 and 50 channels, then 500 features.

    Gradient-based learning applied to document recognition, doi 10.1109/5.726791, in the sizes of Caffe's example:
    431 080 parameters at 1 x 28 x 28 and 10 classes. Caffe has a ReLU behind the first linear layer only; here there is
    one behind each convolution too, so that its outputs are unsigned.

    Parameters
    ----------
    classes : int
    input_shape : (C, 1, H, W)
    """

    def __init__(self, *, classes: int, input_shape: Sequence[int] = (1, 1, 28, 28)) -> None:
        channels, depth, *size = input_shape
        height, width = ((edge - 4) // 2 for edge in size)
        height, width = ((edge - 4) // 2 for edge in (height, width))
        if depth != 1 or min(height, width) < 1:
            raise ValueError(f"lenet: takes images (C, 1, H, W) of at least 16 x 16, got {list(input_shape)}")
        layers: dict[str, nn.Module] = {
            "conv1": nn.Conv2d(channels, 20, 5),
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(20, 50, 5),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "linear1": nn.Linear(50 * height * width, 500),
            "relu3": nn.ReLU(),
            "linear2": nn.Linear(500, classes),
        }
        super().__init__(OrderedDict(layers))
        for layer in self:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
