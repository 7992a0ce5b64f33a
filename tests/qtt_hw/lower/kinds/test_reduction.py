"""Means and maxima over whole axes of the map in every spelling: golden as prepared, and refused by name where not."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Pool
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)
SHAPE = (2, 4, 6, 2)


class Net(nn.Module):
    """A convolution, what is done over axes, and a head over what that leaves."""

    def __init__(self, over) -> None:
        super().__init__()
        self.conv, self.over = nn.Conv3d(2, 3, 1), over
        self.head = nn.Linear(over(torch.zeros(1, 3, *SHAPE[:3])).numel(), 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.over(self.conv(x)).flatten(1))


class Recorded(Net):
    """Its tensors are looked at, so that its calls are recorded while it runs."""

    def forward(self, x: Tensor) -> Tensor:
        if type(x) is not Tensor:
            raise TypeError("no tensor")
        return super().forward(x)


def _unpacked(x: Tensor) -> Tensor:
    maxima, _ = torch.max(x, 4)
    return maxima


def _twice(x: Tensor) -> Tensor:
    found = x.max(2)
    return found[0] + found.values.relu()


FORMS = {
    "mean of all": lambda x: x.mean((2, 3, 4)),
    "mean of one after the other": lambda x: torch.mean(x.mean(-1), dim=[2, 3]),
    "mean in time": lambda x: x.mean(2, keepdim=True),
    "mean of what is joined": lambda x: x.flatten(2).mean(-1),
    "mean behind a permutation": lambda x: x.permute(0, 2, 3, 4, 1).mean((1, 2, 3)),
    "maximum of all": lambda x: x.amax(dim=(-1, -2, -3)),
    "maximum, by its number": lambda x: x.max(2)[0],
    "maximum, by its name": lambda x: torch.max(x, dim=-1, keepdim=True).values,
    "maximum, unpacked": _unpacked,
    "maximum, twice": _twice,
    "maximum of what is joined": lambda x: x.flatten(2).max(2)[0],
    "maximum of one after the other": lambda x: x.max(-1)[0].max(-1)[0].max(-1, True).values,
    "maximum of one position": lambda x: x.mean((2, 3, 4), True).max(dim=2)[0],
    "maximum, in place": lambda x: x.max(3).values.mul_(0.5),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [Net, Recorded])
def test_forms(form: str, kind: type[Net], inputs, assert_equal) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (4, *SHAPE), 1)
    prepared = prepare(kind(FORMS[form]), values, QuantConfig(weight_bits=8), IMAGE)
    prepared.calibrate([values])
    graph = assert_equal(prepared, np.asarray(x), values)
    if form != "maximum of one position":
        pools = [node.kind for node in graph.nodes if isinstance(node, Pool)]
        assert pools and set(pools) == {"max" if form.startswith("maximum") else "average"}


@pytest.mark.parametrize(
    ("over", "text"),
    [
        (lambda x: x.max(1)[0], r"takes the max over axes of \[N, C, D, H, W\] that are not just those of the map"),
        (lambda x: x * x.max(), "acts on the samples of a batch together, which is not supported"),
        (lambda x: x.max(2)[1].float(), r"getitem .getitem. takes the places of .*; the maxima, \[0\], are"),
        (lambda x: x.max(2).indices.float(), "getattr_1 .getattr. takes the places of the maxima"),
        (lambda x: torch.cat(x.max(2), 1), "cat .cat. reads the maxima and their places together"),
        (lambda x: x.max(2)[:1][0], "takes several results of a call, which is not supported; one by its number is"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(over: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        prepare(Net(over), torch.zeros(2, 2, *SHAPE[:3]), input_format=IMAGE)
