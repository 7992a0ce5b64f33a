"""Zeros around a map: taken in by the window that reads them where it can, and equal in any case."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, Pool
from qtt_hw.lower.prepare import prepare

IMAGE = Format(8, True, 7)


class Net(nn.Module):
    def __init__(self, middle: object) -> None:
        super().__init__()
        self.conv, self.middle = nn.Conv3d(2, 4, 1), middle
        self.second, self.wide = nn.Conv3d(4, 4, 3), nn.Conv3d(4, 4, 3, 2, 1, dilation=2)
        self.point, self.mean = nn.Conv3d(4, 4, 1), nn.AvgPool3d(2, 2, 1, count_include_pad=False)
        self.pad, self.norm = nn.ZeroPad3d((1, 2, 0, 1, 2, 0)), nn.BatchNorm3d(4)
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self, self.conv(x)), 1))


#: Each with the names of its stages between the first and the last.
WRITTEN = {
    "by a convolution": (lambda net, x: net.second(net.pad(x)), ["second"]),
    "beside its own": (lambda net, x: net.wide(F.pad(x, (1, 0, 2, 2))), ["wide"]),
    "one after the other": (lambda net, x: net.wide(F.pad(net.pad(x), (1, 1))), ["wide"]),
    "by a mean": (lambda net, x: F.avg_pool3d(net.pad(x), 3, 2), ["avg_pool3d"]),
    "by a mean that counts its own": (lambda net, x: F.avg_pool3d(net.pad(x), 4, 2, 1), ["avg_pool3d"]),
    "not by a mean that does not": (lambda net, x: net.mean(net.pad(x)), ["pad", "mean"]),
    "by a maximum behind a ReLU": (lambda net, x: F.max_pool3d(net.pad(x.relu()), 3, 2), ["max_pool3d"]),
    "not by another maximum": (lambda net, x: F.max_pool3d(net.pad(x), 3, 2), ["pad", "max_pool3d"]),
    "not by a smaller window": (lambda net, x: net.point(net.pad(x)), ["pad", "point"]),
    "nor by too small a one": (lambda net, x: net.second(F.pad(x, (3, 0))), ["pad", "second"]),
    "nor a mean of all": (lambda net, x: net.pad(x).mean((2, 3, 4)), ["pad", "mean"]),
    "nor a norm": (lambda net, x: net.norm(net.pad(x)), ["pad", "norm"]),
    "and a ReLU behind it": (lambda net, x: F.max_pool3d(net.pad(x).relu(), 3, 2), ["pad", "max_pool3d"]),
    "channels": (lambda net, x: net.point(F.pad(x, (0, 1, 0, 0, 0, 0, 1, 2)).narrow(1, 1, 4)), ["pad", "pad", "point"]),
    "read twice": (lambda net, x: net.second(y := net.pad(x)) + F.max_pool3d(y, 3, 1), ["second", "pad", "max", "add"]),
    "none": (lambda net, x: F.pad(x, (0, 0)), []),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_equal_and_taken_in_where_it_can_be(inputs, assert_equal, name: str) -> None:
    middle, wanted = WRITTEN[name]
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (4, 3, 4, 5, 2), 1)
    net = Net(middle)
    net(values)
    model = prepare(net, values[:1], input_format=IMAGE)
    model.calibrate([values])
    graph = assert_equal(model, x, values)
    stages = [node for node in graph.nodes[1:-1] if isinstance(node, Contraction | Pool) or node.reads == 2]
    assert len(stages) == len(wanted)
    assert all(node.name.startswith(start) for node, start in zip(stages, wanted, strict=True)), stages


def test_a_stage_of_its_own_multiplies_each_channel_alone(inputs, assert_equal) -> None:
    x, values = inputs(IMAGE, (2, 3, 4, 5, 2), 1)
    net = Net(lambda net, x: net.norm(net.pad(x)))
    net(values)
    model = prepare(net, values[:1], input_format=IMAGE)
    model.calibrate([values])
    (pad,) = [node for node in assert_equal(model, x, values).nodes if node.name == "pad"]
    assert isinstance(pad, Contraction) and pad.groups == 4 and pad.weight.shape == (4, 3, 2, 4, 1)


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (lambda net, x: F.pad(x, (1, 1), value=2.0), "pads with 2.0, which is not supported; with zeros it would be"),
        (lambda net, x: F.pad(x, (1, 1, 1, 1, 1, 1), "replicate"), "pads by mode='replicate', which is not supported"),
        (lambda net, x: F.pad(x, (-1, 0)), r"crops by \[-1, 0\], which is not supported"),
        (lambda net, x: nn.ConstantPad3d(1, 0.5)(x), "pads with 0.5, which is not supported"),
        (lambda net, x: F.pad(x.flatten(2), (0, 3)), r"reads \[N, C, DHW\] of a volume, which is not supported"),
    ],
)
def test_other_padding_is_refused_by_name(middle: object, text: str) -> None:
    net = Net(middle)
    net(torch.zeros(1, 2, 3, 4, 5))
    with pytest.raises(ValueError, match=text):
        prepare(net, torch.zeros(1, 2, 3, 4, 5), input_format=IMAGE)
