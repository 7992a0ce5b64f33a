"""One value a channel, expanded to all positions: what is the same at all of them follows it, nothing else does."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.refusals import REPEATED
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)


class Net(nn.Module):
    def __init__(self, middle: object) -> None:
        super().__init__()
        self.middle, self.conv = middle, nn.Conv2d(2, 4, 3, padding=1)
        self.point, self.window = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.flat = nn.Flatten()
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        pooled = y.mean((2, 3), keepdim=True)
        return self.head(self.middle(self, y, pooled.expand_as(y), pooled))


FOLLOWED = {
    "a product": lambda net, y, e, p: (torch.sigmoid(e) * y).mean((2, 3)),
    "a product of both": lambda net, y, e, p: (torch.sigmoid(e) * torch.tanh(e)).mean((2, 3)),
    "with what it was": lambda net, y, e, p: (e * torch.tanh(p)).mean((2, 3)),
    "a convolution by 1": lambda net, y, e, p: F.relu(net.point(e)).mean((2, 3)),
    "a batch norm": lambda net, y, e, p: net.norm(e).amax((2, 3)),
    "a sum": lambda net, y, e, p: (e / 16).sum((2, 3)),
    "some positions": lambda net, y, e, p: e[:, :, ::2, ::2].mean((2, 3)),
    "a sum of both": lambda net, y, e, p: (e + net.point(e)).mean((2, 3)),
    "one axis and the other": lambda net, y, e, p: e.mean(3).mean(2),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_what_is_the_same_at_all_positions_is_followed(inputs, assert_equal, name: str) -> None:
    torch.manual_seed(0)
    net = Net(FOLLOWED[name])
    net(torch.zeros(2, 2, 4, 4))
    x, values = inputs(IMAGE, (8, 1, 4, 4, 2), 0)
    model = prepare(net.eval(), values[:1], QuantConfig(weight_bits=8, activation_bits=8), IMAGE)
    model.calibrate([values])
    assert_equal(model, x, values)


@pytest.mark.parametrize(
    ("middle", "call"),
    [
        (lambda net, y, e, p: torch.cat([y, e], 1).mean((2, 3)), "cat"),
        (lambda net, y, e, p: (y + e).mean((2, 3)), "add"),
        (lambda net, y, e, p: (y - 2 * torch.tanh(e)).mean((2, 3)), "sub"),
        (lambda net, y, e, p: torch.stack([y, e]).sum(0).mean((2, 3)), "sum_1"),
        (lambda net, y, e, p: net.window(e).mean((2, 3)), "window"),
        (lambda net, y, e, p: F.pad(e, (1, 1, 1, 1)).mean((2, 3)), "pad"),
        (lambda net, y, e, p: F.avg_pool2d(e, 3, 1, 1).mean((2, 3)), "avg_pool2d"),
        (lambda net, y, e, p: F.max_pool2d(e, 2).mean((2, 3)), "max_pool2d"),
        (lambda net, y, e, p: e.flatten(1), "flatten"),
        (lambda net, y, e, p: e.reshape(e.size(0), -1), "reshape"),
        (lambda net, y, e, p: net.flat(e), "head"),
        (lambda net, y, e, p: net.point(e.chunk(2, 1)[0].repeat(1, 2, 1, 1)).mean((2, 3)), "repeat"),
        (lambda net, y, e, p: F.pad(e.chunk(2, 1)[1], (1, 1, 1, 1)).mean((2, 3)), "pad"),
    ],
)
def test_what_is_not_is_refused_by_its_name_and_for_that(middle: object, call: str) -> None:
    net = Net(middle)
    with torch.no_grad():
        net(torch.zeros(2, 2, 4, 4))
    refused = [row for row in check(net.eval(), torch.zeros(1, 2, 4, 4), IMAGE) if not row.supported]
    assert [row.layer for row in refused] == [call]
    assert refused[0].instead == REPEATED or call == "repeat"


def test_it_is_no_output() -> None:
    class Ends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).mean((2, 3), keepdim=True).expand(-1, -1, 4, 4)

    (row,) = [row for row in check(Ends(), torch.zeros(1, 2, 4, 4), IMAGE) if not row.supported]
    assert (row.type, row.instead) == ("model", REPEATED)
