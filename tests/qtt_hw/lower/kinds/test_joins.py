"""Concatenations, products and slices as they are written: equal, and with the stages that they should have."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Concatenation, Multiplication, Permutation, Slice
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig
from rtl_gen.plan.nest import nest

IMAGE = Format(8, True, 7)


class Net(nn.Module):
    def __init__(self, middle: object) -> None:
        super().__init__()
        self.conv, self.middle = nn.Conv3d(2, 4, 1), middle
        self.one, self.two, self.three = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 2, 1), nn.Conv3d(4, 6, 1)
        self.down, self.up = nn.Conv3d(4, 2, 1), nn.Conv3d(2, 4, 1)
        self.fc, self.shuffle = nn.Linear(4, 4), nn.ChannelShuffle(3)
        self.norm = nn.BatchNorm3d(8)
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self, self.conv(x)), 1))


def excited(net: Net, x: Tensor) -> Tensor:
    """Squeeze and excitation."""
    gate = net.up(F.relu(net.down(F.adaptive_avg_pool3d(x, 1))))
    return x * torch.sigmoid(gate)


def flatly_excited(net: Net, x: Tensor) -> Tensor:
    gate = torch.sigmoid(net.fc(x.mean((2, 3, 4)))).view(x.size(0), x.size(1), 1, 1, 1)
    return gate.expand_as(x) * x


def shuffled(net: Net, x: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=1)
    y = torch.cat((a, net.up(F.relu(b))[:, :2]), 1)
    n, c, d, h, w = y.shape
    return net.one(y.view(n, 2, c // 2, d, h, w).transpose(1, 2).reshape(n, c, d, h, w))


def turned(x: Tensor) -> Tensor:
    """Four channels in another order."""
    n, c, *size = x.shape
    return x.view(n, 2, 2, *size).transpose(1, 2).reshape(n, c, *size)


#: Each with how many stages of each kind it has: concatenations, products, slices, permutations.
WRITTEN = {
    "two": (lambda net, x: torch.cat([net.one(x), net.two(x)], 1), (1, 0, 0, 0)),
    "four": (lambda net, x: torch.cat([x, net.one(x).relu(), net.two(x), F.silu(net.three(x))], dim=1), (1, 0, 0, 0)),
    "dense": (lambda net, x: torch.cat([y := torch.cat([x, net.one(x)], 1), net.norm(y).relu()], 1), (2, 0, 0, 0)),
    "and a relu": (lambda net, x: F.relu(torch.cat([x, net.two(x)], 1)), (1, 0, 0, 0)),
    "vectors": (lambda net, x: torch.cat([net.one(x).mean((2, 3, 4)), x.amax((2, 3, 4))], -1), (1, 0, 0, 0)),
    "maps, flat": (lambda net, x: torch.cat([x.flatten(1), net.two(x).flatten(1)], 1), (1, 0, 0, 2)),
    "twice": (lambda net, x: torch.cat([x, x], 1), (1, 0, 0, 0)),
    "one": (lambda net, x: torch.cat([net.one(x)], 1), (0, 0, 0, 0)),
    "excitation": (excited, (0, 1, 0, 0)),
    "flat excitation": (flatly_excited, (0, 1, 0, 0)),
    "product": (lambda net, x: net.one(x) * torch.tanh(x), (0, 1, 0, 0)),
    "and a relu behind": (lambda net, x: F.relu(torch.mul(net.one(x), x)), (0, 1, 0, 0)),
    "in place": (lambda net, x: net.one(x).mul_(torch.sigmoid(x)), (0, 1, 0, 0)),
    "shuffle": (shuffled, (1, 0, 3, 1)),
    "shuffled by a layer": (lambda net, x: net.one(net.shuffle(net.three(x))[:, :4]), (0, 0, 1, 1)),
    "shuffled by a function": (lambda net, x: net.one(F.channel_shuffle(x, groups=2) + turned(x)), (0, 0, 0, 1)),
    "a sum in another order": (lambda net, x: turned(net.one(x)) + x, (0, 0, 0, 1)),
    "a sum in the same other order": (lambda net, x: turned(net.one(x)) + turned(x), (0, 0, 0, 0)),
    "a difference of the same": (lambda net, x: x - turned(x), (0, 0, 0, 1)),
    "a product in another order": (lambda net, x: net.one(x) * turned(x), (0, 1, 0, 1)),
    "a gate in another order": (lambda net, x: torch.sigmoid(turned(x.mean((2, 3, 4), True))) * x, (0, 1, 0, 1)),
    "a gate of what is in another order": (lambda net, x: turned(x) * x.mean((2, 3, 4), True), (0, 1, 0, 1)),
    "beside another order": (lambda net, x: torch.cat([turned(x), net.two(x)], 1), (1, 0, 0, 1)),
    "some channels": (lambda net, x: x[:, 1:3] + net.two(x), (0, 0, 1, 0)),
    "all but the last": (lambda net, x: x[:, :-1].relu(), (0, 0, 1, 0)),
    "with a step": (lambda net, x: x[..., ::2] + net.one(x)[:, :, :, :, ::2], (0, 0, 0, 0)),
    "narrowed": (lambda net, x: torch.cat([x.narrow(1, 2, 2), net.two(x)], 1), (1, 0, 1, 0)),
    "split": (lambda net, x: x.split([1, 3], 1)[1] * torch.split(net.three(x), 3, 1)[0], (0, 1, 2, 0)),
    "padded channels": (lambda net, x: net.one(F.pad(x, (0, 0, 0, 0, 0, 0, 1, 1))[:, 1:5]), (0, 0, 1, 0)),
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("bits", [3, 8])
def test_prepared_and_golden_are_equal_in_every_phase(equal_in_every_phase, name: str, bits: int) -> None:
    middle, counts = WRITTEN[name]
    torch.manual_seed(0)
    graph = equal_in_every_phase(Net(middle), IMAGE, bits)
    kinds = (Concatenation, Multiplication, Slice, Permutation)
    assert tuple(sum(isinstance(node, kind) for node in graph.nodes) for kind in kinds) == counts


class Dense(nn.Module):
    """A dense block as torchvision writes it: every layer reads all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(2, 4, 1)
        self.layers = nn.ModuleList(nn.Conv3d(4 + 2 * k, 2, 3, padding=1) for k in range(3))
        self.head = nn.Linear(10 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(F.relu(layer(torch.cat(found, 1))))
        return self.head(torch.cat(found, 1).flatten(1))


class Aggregated(Dense):
    """One-shot aggregation, as in VoVNet: each layer reads the one before, the end reads all."""

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(F.relu(layer(found[-1])))
        return self.head(torch.cat(found, 1).flatten(1))


def test_concatenations_are_shared_and_nested(inputs, assert_equal) -> None:
    x, values = inputs(IMAGE, (4, 2, 2, 4, 2), 1)
    aggregated = Aggregated()
    aggregated.layers = nn.ModuleList(nn.Conv3d(4 if k == 0 else 2, 2, 3, padding=1) for k in range(3))
    for net in (Dense(), aggregated):
        model = prepare(net, values[:1], input_format=IMAGE)
        model.calibrate([values])
        graph = assert_equal(model, x, values)
        joins = [node for node in graph.nodes if isinstance(node, Concatenation)]
        assert len(joins) == 3 and all(len(node.inputs) == 2 for node in joins)
        nest(graph)


class Rectified(nn.Module):
    """A concatenation of which one reader takes only what is above 0, and that another concatenation begins with."""

    def __init__(self, late: bool) -> None:
        super().__init__()
        self.late, self.one, self.two = late, nn.Conv3d(2, 2, 1), nn.Conv3d(2, 2, 1)
        self.three, self.head = nn.Conv3d(4, 2, 1), nn.Linear(8 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.one(x), self.two(x)
        joined = torch.cat([a, b], 1)
        if self.late:
            wide = torch.cat([a, b, x], 1)
            return self.head(torch.cat([wide, self.three(F.relu(joined))], 1).flatten(1))
        c = self.three(F.relu(joined))
        return self.head(torch.cat([torch.cat([a, b, c], 1), x], 1).flatten(1))


@pytest.mark.parametrize("late", [False, True])
def test_a_shared_concatenation_takes_in_no_relu_of_one_reader(inputs, assert_equal, late: bool) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (4, 2, 2, 4, 2), 1)
    model = prepare(Rectified(late), values[:1], input_format=IMAGE)
    model.calibrate([values])
    assert_equal(model, x, values)


def test_gradients_reach_both_factors_and_all_parts() -> None:
    torch.manual_seed(0)
    values = (torch.randint(-128, 128, (16, 2, 2, 2, 4)) / 128.0).float()
    for middle in (excited, WRITTEN["four"][0]):
        net = Net(middle)
        net(values)
        model = prepare(net, values[:1], QuantConfig(weight_bits=8), IMAGE)
        model.calibrate([values])
        model.train()(values).square().sum().backward()
        assert all(float(p.grad.abs().sum()) > 0 for n, p in model.named_parameters() if n.endswith("weight"))


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (lambda net, x: torch.cat([x, net.one(x)], 2), r"joins axis 2 of \[N, C, D, H, W\], which is not supported"),
        (lambda net, x: torch.cat([x, x], 0)[:4], "joins the samples of a batch, which is not supported"),
        (lambda net, x: x * net.one(x).mean(1, keepdim=True), "over axes of .* that are not just those of the map"),
        (lambda net, x: x * net.one(x).mean(-1, keepdim=True), "by one value a channel for all positions, it is"),
        (lambda net, x: x[:, [1, 0]], "takes single places or lists of them, which is not supported; slices are"),
        (lambda net, x: x[..., 1:], "crops positions, which is not supported"),
        (lambda net, x: x[:, ::2], "takes some of .*, which is not supported; channels in a row are"),
        (lambda net, x: x[:1], "takes some samples of a batch, which is not supported"),
        (lambda net, x: x.chunk(2, 2)[0], "splits axis 2 of .*, which is not supported; channels are split"),
        (lambda net, x: torch.cat(x.chunk(2, 1), 1), "reads the parts of a split together"),
        (
            lambda net, x: net.fc(x.mean((2, 3, 4))).view(-1, 4, 1, 1, 1).expand_as(x),
            r"flatten .flatten. takes one value a channel that is",
        ),
    ],
)
def test_what_is_not_followed_is_refused_by_name(middle: object, text: str) -> None:
    net, example = Net(middle), torch.zeros(4, 2, 2, 2, 4)
    net(example)
    with pytest.raises(ValueError, match=text):
        prepare(net, example, input_format=IMAGE)
