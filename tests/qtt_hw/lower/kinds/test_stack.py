"""Sums and means over stacks of results: streams added, golden as prepared; any other reader is refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Add, Table
from qtt_hw.lower.prepare import prepare
from rtl_gen.plan.nest import nest

IMAGE = Format(8, True, 7)


class Net(nn.Module):
    def __init__(self, middle: object) -> None:
        super().__init__()
        self.conv, self.middle = nn.Conv3d(2, 4, 1), middle
        self.one, self.two, self.three = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 1), nn.Conv3d(4, 4, 1)
        self.norm, self.head = nn.BatchNorm3d(4), nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self, self.conv(x)), 1))


def _again(net: Net, x: Tensor) -> Tensor:
    """Two readers of a stack of one result, of which a batch norm may change nothing for the other."""
    alone = torch.stack([net.one(x)])
    return net.norm(alone.sum(0)) + alone.mean(0)


#: Each with how many sums and tables it has.
FOLLOWED = {
    "sum": (lambda net, x: torch.stack([x, net.one(x), net.two(x)]).sum(0), (2, 0)),
    "mean": (lambda net, x: torch.stack([net.three(x), net.one(x), net.two(x)]).mean(0), (2, 1)),
    "mean of two": (lambda net, x: torch.stack((x, net.one(x)), dim=1).mean(dim=1), (1, 1)),
    "by keywords": (lambda net, x: torch.sum(torch.stack(tensors=[x, net.one(x)], dim=-1), dim=[5]), (1, 0)),
    "and a relu": (lambda net, x: F.relu(torch.mean(torch.stack([x, net.one(x)], 2), -4)), (1, 1)),
    "functions of one result": (lambda net, x: torch.stack([x, x, F.silu(x)]).sum(0), (0, 1)),
    "parts": (lambda net, x: torch.stack(list(x.chunk(2, 1))).sum(0), (1, 0)),
    "vectors": (lambda net, x: torch.stack([net.one(x).mean((2, 3, 4)), x.amax((2, 3, 4))]).sum(0), (1, 0)),
    "one": (lambda net, x: torch.stack([net.one(x)]).mean(0), (0, 0)),
    "one, read twice": (_again, (1, 0)),
}


@pytest.mark.parametrize("name", FOLLOWED)
@pytest.mark.parametrize("bits", [3, 8])
def test_sums_and_means_are_those_of_streams(equal_in_every_phase, name: str, bits: int) -> None:
    middle, counts = FOLLOWED[name]
    torch.manual_seed(0)
    graph = equal_in_every_phase(Net(middle), IMAGE, bits)
    assert tuple(sum(isinstance(node, kind) for node in graph.nodes) for kind in (Add, Table)) == counts
    nest(graph)


OTHER_AXES = "of a stack of results over other axes than dim=0, .* which is not followed; over that one alone it is"


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (lambda net, x: torch.stack([x, net.one(x)]).sum(1), f"sum_1 .sum. takes the sum {OTHER_AXES}"),
        (lambda net, x: torch.stack([x, net.one(x)]).mean((0, 2)), f"mean .mean. takes the mean {OTHER_AXES}"),
        (lambda net, x: torch.stack([x, x]).sum(0, keepdim=True)[0], f"sum_1 .sum. takes the sum {OTHER_AXES}"),
        (lambda net, x: x * torch.stack([x, x]).mean(), f"mean .mean. takes the mean {OTHER_AXES}"),
        (
            lambda net, x: torch.stack([x, x]).mean(0, dtype=torch.float64).float(),
            "takes the mean in a dtype of its own, which is not followed",
        ),
        (lambda net, x: torch.stack([x, x]).amax(0), "amax .amax. reads a stack of results, which is not followed"),
        (lambda net, x: torch.stack([x, x], 1).flatten(1, 2), "flatten .flatten. reads a stack of results"),
        (lambda net, x: torch.stack([x, x])[0], "getitem .getitem. reads .* its sum or mean over the stacked axis is"),
        (
            lambda net, x: torch.stack([x, torch.ones(4, 4, 2, 2, 4)]).sum(0),
            "stack .stack. puts a tensor of the model's own beside results, which is not supported",
        ),
    ],
)
def test_other_readers_of_a_stack_are_refused(middle: object, text: str) -> None:
    net, example = Net(middle), torch.zeros(4, 2, 2, 2, 4)
    net(example)
    with pytest.raises(ValueError, match=text):
        prepare(net, example, input_format=IMAGE)
