"""Networks that view, permute and flatten: the stages compute what the model computes, and golden what they do."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig
from tests.batch_norms import disturb

IMAGE = Format(8, True, 7)


class Net(nn.Module):
    """A convolution, what the test does behind it, and what that needs."""

    def __init__(self, behind: Callable[[nn.Module, Tensor], Tensor], features: int) -> None:
        super().__init__()
        self.behind = behind
        self.conv, self.norm = nn.Conv3d(2, 6, 3, padding=1), nn.BatchNorm3d(6)
        self.point, self.head = nn.Linear(6, 4), nn.Linear(features, 3)
        self.again = nn.Conv3d(4, 2, (1, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(self, self.norm(self.conv(x)).relu())


def channels_last(net: nn.Module, x: Tensor) -> Tensor:
    return net.head(net.point(x.permute(0, 2, 3, 4, 1)).relu().flatten(1))


def there_and_back(net: nn.Module, x: Tensor) -> Tensor:
    y = net.point(x.movedim(1, -1)).relu().movedim(-1, 1)
    return net.head(net.again(y).reshape(len(x), -1))


def shuffled(net: nn.Module, x: Tensor) -> Tensor:
    n, c, d, h, w = x.shape
    y = x.view(n, 2, c // 2, d, h, w).transpose(1, 2).reshape(n, c, d, h, w)
    return net.head(y.flatten(1))


def spatial_first(net: nn.Module, x: Tensor) -> Tensor:
    return net.head(x.transpose(1, 3).contiguous().view(x.shape[0], -1))


def squeezed(net: nn.Module, x: Tensor) -> Tensor:
    return net.head(x.unsqueeze(1).unsqueeze(-1).squeeze(1).flatten(1))


@pytest.mark.parametrize(
    ("behind", "features", "names"),
    [
        (channels_last, 4 * 24, ["conv", "point", "head"]),
        (there_and_back, 2 * 16, ["conv", "point", "again", "head"]),
        (shuffled, 6 * 24, ["conv", "head"]),
        (spatial_first, 6 * 24, ["conv", "head"]),
        (squeezed, 6 * 24, ["conv", "head"]),
    ],
)
def test_they_are_followed(behind, features, names, inputs, assert_equal) -> None:
    torch.manual_seed(0)
    net = Net(behind, features).eval()
    disturb(net)
    x, values = inputs(IMAGE, (5, 2, 3, 4, 2), 1)
    prepared = prepare(net, values, QuantConfig(weight_bits=8), IMAGE)
    assert [stage.name for stage in prepared.stages] == names
    prepared.calibrate([values])
    assert_equal(prepared, np.asarray(x), values)
