"""Forwards that look at their tensors, which torch.fx does not follow: recorded while they run."""

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.errors import GradientWarning
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.record import record
from tests.batch_norms import disturb

IMAGE = Format(8, True, 7)
Middle = Callable[["Net", Tensor], Tensor]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv3d(4, 4, 3, padding=1), nn.BatchNorm3d(4)

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(x, Tensor) and not isinstance(x, nn.Parameter)
        y = self.norm(self.conv(x))
        return (y + x).relu()


class Net(nn.Module):
    def __init__(self, middle: Middle) -> None:
        super().__init__()
        self.middle = middle
        self.conv, self.block, self.head = nn.Conv3d(2, 4, 1), Block(), nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.rand(4) + 0.5)
        self.register_buffer("shift", torch.randn(4, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_tensor(x):
            raise TypeError("not a tensor")
        return self.head(self.middle(self, self.conv(x)).mean((2, 3, 4)))


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return (x * 4).round() / 4

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


def _in_place(net: Net, x: Tensor) -> Tensor:
    y = net.block(x)
    y += x
    y[:, :] = y
    return y


FOLLOWED: dict[str, tuple[Middle, list[str]]] = {
    "block": (lambda net, x: net.block(x), ["block.conv", "block.norm", "block.add", "block.relu"]),
    "functions": (lambda net, x: F.max_pool3d(F.relu(x), 2), ["relu", "max_pool3d"]),
    "parameters": (lambda net, x: 2 - x * net.scale.view(4, 1, 1, 1) - net.shift, ["mul", "sub", "sub_1"]),
    "reflected": (lambda net, x: 1 / (x.sigmoid() + 1), ["sigmoid", "add", "truediv"]),
    "descriptor": (lambda net, x: Tensor.relu(Tensor.contiguous(x)), ["contiguous", "relu"]),
    "parts": (lambda net, x: torch.cat([*x.chunk(2, 1)][::-1], 1), ["chunk", "getitem", "getitem_1", "cat"]),
    "own modules": (lambda net, x: nn.ReLU()(nn.MaxPool3d(2)(x)), ["max_pool3d", "relu"]),
    "constants": (lambda net, x: x * torch.arange(1.0, 5.0).view(4, 1, 1, 1), ["mul"]),
    "sizes": (
        lambda net, x: x.view(len(x), -1).view(x.size()) if f"{x.shape}" and x.ndim == 5 else x,
        ["view", "view_1"],
    ),
}


@pytest.mark.parametrize("what", FOLLOWED)
def test_calls_have_the_names_that_they_have_in_torch_fx(what: str, inputs, assert_equal) -> None:
    torch.manual_seed(0)
    middle, names = FOLLOWED[what]
    net = Net(middle)
    disturb(net)
    x, values = inputs(IMAGE, (16, 2, 2, 2, 2), 0)
    rows = check(net, values[:2], IMAGE)
    assert [row.layer for row in rows if row.supported] == ["conv", *names, "mean", "head"], rows
    prepared = prepare(net, values[:2], input_format=IMAGE)
    prepared.calibrate([values])
    assert_equal(prepared, x, values)
    assert "_constant0" not in dict(net.named_buffers())


def test_a_network_is_the_same_recorded_as_traced() -> None:
    class Plain(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.middle(self, self.conv(x)).mean((2, 3, 4)))

    class PlainBlock(Block):
        def forward(self, x: Tensor) -> Tensor:
            return (self.norm(self.conv(x)) + x).relu()

    torch.manual_seed(0)
    example = torch.zeros(2, 2, 2, 2, 2)
    recorded = Net(lambda net, x: net.block(x))
    traced = Plain(recorded.middle)
    traced.block = PlainBlock()
    traced.load_state_dict(recorded.state_dict())
    one, two = (prepare(net, example, input_format=IMAGE) for net in (recorded, traced))
    assert [stage.name for stage in one.stages] == [stage.name for stage in two.stages]
    assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


def _scripted() -> Callable[[Tensor], Tensor]:
    def mean(x: Tensor) -> Tensor:
        return x.relu().mean()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch deprecates what networks still have
        return torch.jit.script(mean)


SCRIPTED = _scripted()


class Scripted(nn.Module):
    """Whose result is the network's."""

    def forward(self, x: Tensor) -> Tensor:
        return SCRIPTED(x)


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (lambda net, x: x if x.sum() > 0 else -x, "reads a result's values: only on its shape"),
        (lambda net, x: x * float(x.mean()), "reads a result's values: only on its shape"),
        (lambda net, x: torch.from_numpy(x.numpy()), "reads a result's values: only on its shape"),
        (lambda net, x: x + SCRIPTED(x), "takes a result of what does not show what it computes"),
        (lambda net, x: torch.vmap(torch.relu)(x), "what does not show what it computes"),
        (lambda net, x: nn.Conv3d(4, 4, 1)(x), "layers in a Python list are not the model's"),
    ],
)
def test_what_neither_follows_is_refused(middle: Middle, text: str) -> None:
    (row,) = check(Net(middle), torch.zeros(2, 2, 2, 2, 2), IMAGE)
    assert row.instead.startswith("Net: forward cannot be traced: ") and text in row.instead and "\n" not in row.instead
    if "Python list" not in text:
        assert "test_record.py, line " in row.instead


def test_the_line_is_that_which_takes_what_is_not_shown() -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        mean = SCRIPTED(x)
        return x + mean

    (row,) = check(Net(middle), torch.zeros(2, 2, 2, 2, 2), IMAGE)
    assert "(return x + mean): takes a result of what does not show what it computes" in row.instead
    net = Net(lambda net, x: x)
    net.head = nn.Sequential(net.head, Scripted())
    (row,) = check(net, torch.zeros(2, 2, 2, 2, 2), IMAGE)
    assert row.instead.startswith("Net: forward cannot be traced: calls what does not show what it computes")


@pytest.mark.parametrize(
    "middle",
    [lambda net, x: x if x.max().item() > 0.1 else -x, lambda net, x: x if x.flatten().tolist()[0] > 0 else -x],
)
def test_a_branch_on_a_number_that_was_read_is_not_that_of_the_example(middle: Middle) -> None:
    class Plain(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.middle(self, self.conv(x)).mean((2, 3, 4)))

    (row,) = check(Plain(middle), torch.zeros(2, 2, 2, 2, 2), IMAGE)
    assert "reads a result's values" in row.instead


def test_a_backward_of_the_user_s_own_is_told_of() -> None:
    net = Net(lambda net, x: Rounded.apply(x))
    with pytest.warns(GradientWarning, match="^Rounded: the prepared model trains by the gradient of forward$"):
        prepare(net, torch.zeros(2, 2, 2, 2, 2), input_format=IMAGE)


def test_nothing_stays_patched_when_forward_raises() -> None:
    call, apply = nn.Module.__call__, vars(torch.autograd.Function)["apply"]
    model = nn.Sequential(nn.Conv3d(3, 2, 1))
    with pytest.raises(RuntimeError):
        record(copy.deepcopy(model), torch.zeros(1, 2, 2, 2, 2))
    check(Net(lambda net, x: x if x.sum() > 0 else -x), torch.zeros(2, 2, 2, 2, 2), IMAGE)
    assert nn.Module.__call__ is call and vars(torch.autograd.Function)["apply"] is apply
