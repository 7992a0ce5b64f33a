"""In-place calls: followed exactly, or refused by name; never taken for calls that leave their operand as it was."""

import operator
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower import reference
from qtt_hw.lower.check import Row, check
from qtt_hw.lower.in_place import OPERATORS, InPlaceProxy
from qtt_hw.lower.kinds.add import AddStage
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.walk import walk

IMAGE = Format(8, True, 7)
EXAMPLE = torch.zeros(2, 2, 2, 3, 2)


class Net(nn.Module):
    """Layers for the test to call; what it does with the first one's result is the whole network."""

    def __init__(self, middle: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        self.middle = middle
        self.stem, self.one, self.two = (nn.Conv3d(2, 2, 1) for _ in range(3))
        self.relu, self.in_place = nn.ReLU(), nn.ReLU(inplace=True)
        self.identity, self.dropout, self.flatten = nn.Identity(), nn.Dropout(inplace=True), nn.Flatten()
        self.head, self.other_head = nn.Linear(24, 3), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.middle(self, self.stem(x))


class Plain(Net):
    """The same with a head over the flattened map behind it."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self, self.stem(x)), 1))


def rows(net: nn.Module) -> list[Row]:
    return check(net.eval(), EXAMPLE, IMAGE)


def difference(net: nn.Module) -> float:
    """Of what was lowered, to the model, on values that are not the check's own."""

    def refuse(name: str, kind: str, reason: str | None) -> None:
        assert reason is None, (name, reason)

    lowering = walk(net.eval(), EXAMPLE, IMAGE, refuse)
    x = torch.randn(EXAMPLE.shape, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        expected = net.double()(x.clone())
        return float((reference.logits(lowering.network, x) - expected).abs().max() / expected.abs().max())


def iadd(a: Tensor, b: Tensor) -> Tensor:
    a += b
    return a


@pytest.mark.parametrize(
    "add",
    [iadd, operator.iadd, lambda a, b: a.add_(b), lambda a, b: a.add_(other=b), lambda a, b: (a.add_(b), a)[1]],
    ids=["+=", "iadd", "add_", "add_(other=)", "statement"],
)
def test_later_readers_of_the_left_operand_read_the_sum(add: Callable[[Tensor, Tensor], Tensor]) -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        a = net.one(x)
        total = add(a, x)
        return net.two(a) + total

    torch.manual_seed(0)
    assert difference(Plain(middle)) < 1e-12
    model = prepare(Plain(middle), EXAMPLE, input_format=IMAGE)
    first, second = (stage.name for stage in model.stage_list if isinstance(stage, AddStage))
    wiring = {stage.name: stage.inputs for stage in model.stage_list}
    assert wiring["two"] == (first,) and wiring[second] == ("two", first)


@pytest.mark.parametrize(
    "relu",
    [
        lambda net, x: net.in_place(x),
        lambda net, x: F.relu(x, inplace=True),
        lambda net, x: F.relu(x, True),
        lambda net, x: F.relu_(x),
        lambda net, x: torch.relu_(x),
        lambda net, x: x.relu_(),
        lambda net, x: (x.relu_(), x)[1],
    ],
)
def test_later_readers_behind_a_relu_in_place_read_what_it_put_out(relu: Callable[[Net, Tensor], Tensor]) -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        identity = x  # a block that activates first, in place, so that its shortcut is activated too
        return net.one(relu(net, x)) + identity

    torch.manual_seed(0)
    net = Plain(middle)
    assert difference(net) < 1e-12
    stem = prepare(net.float(), EXAMPLE, input_format=IMAGE).stage_list[0]
    assert stem.relu


@pytest.mark.parametrize(
    "middle",
    [
        lambda net, x: net.two(iadd(net.identity(y := net.one(x)), x)) + y,
        lambda net, x: net.two(net.in_place(net.dropout(y := net.one(x)))) + y,
        lambda net, x: net.two(net.dropout(net.in_place(y := net.one(x)))) + y,
        lambda net, x: net.two((y := net.one(x)).relu_().add_(x)) + y,
    ],
)
def test_what_passes_a_tensor_on_passes_on_the_tensor_itself(middle: Callable[[Net, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    assert difference(Plain(middle)) < 1e-12


def view_then_write(net: Net, x: Tensor) -> Tensor:
    y = net.one(x)
    flat = y.flatten(1)
    y += x
    return net.head(flat) + net.other_head(net.flatten(y))


def write_through_a_view(net: Net, x: Tensor) -> Tensor:
    y = net.one(x)
    z = net.head(net.in_place(torch.flatten(y, 1)))
    return z + net.other_head(y.flatten(1))


def write_through_contiguous(net: Net, x: Tensor) -> Tensor:
    y = net.one(x)
    z = net.two(y.contiguous().relu_())
    return net.head((z + y).flatten(1))


def write_through_an_attribute(net: Net, x: Tensor) -> Tensor:
    y = net.one(x)
    z = y.data
    z += x
    return net.head((z + y).flatten(1))


def write_through_an_expansion(net: Net, x: Tensor) -> Tensor:
    y = net.one(x)
    z = net.two(y.expand_as(y).relu_())
    return net.head((z + y).flatten(1))


@pytest.mark.parametrize(
    ("middle", "name", "other"),
    [
        (view_then_write, "add", "flatten"),
        (write_through_an_attribute, "add", "one"),
        (write_through_an_expansion, "relu_", "one"),
        (write_through_a_view, "in_place", "one"),
        (write_through_contiguous, "relu_", "one"),
    ],
)
def test_writing_what_a_view_shows_later_is_refused_by_name(middle, name: str, other: str) -> None:
    (row,) = [row for row in rows(Net(middle)) if not row.supported]
    assert (row.layer, row.instead) == (
        name,
        f"changes in place what {other} may be a view of, which is read again later; out of place it is followed",
    )


def test_views_that_are_not_read_later_are_followed() -> None:
    torch.manual_seed(0)
    assert difference(Net(lambda net, x: net.head(net.one(x).flatten(1).relu_()))) < 1e-12


@pytest.mark.parametrize(
    ("middle", "name"),
    [
        (lambda net, x: torch.add(y := net.one(x), x, out=y) + net.two(y), "add"),
        (lambda net, x: net.two(_set(x)), "setitem"),
        (lambda net, x: net.two((x.data.mul_(2), x)[1]), "mul_"),
        (lambda net, x: net.two((x.zero_(), x)[1]), "zero_"),
        (lambda net, x: net.two((net.one(x).copy_(x), x)[1]), "copy_"),
    ],
)
def test_other_in_place_calls_are_refused_by_name(middle, name: str) -> None:
    assert name in [row.layer for row in rows(Plain(middle)) if not row.supported]


def _set(x: Tensor) -> Tensor:
    x[:, 0] = 0
    return x


def _scaled(x: Tensor) -> Tensor:
    x *= 2
    return x


def test_an_attribute_of_a_tensor_is_not_assigned_in_silence() -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        x.data = net.one(x)
        return x

    (row,) = rows(Plain(middle))
    assert "cannot be traced" in row.instead and "data is assigned" in row.instead and not row.supported


def test_every_in_place_operator_is_recorded_as_such() -> None:
    for function in OPERATORS:
        graph = fx.Graph()
        tracer = fx.proxy.GraphAppendingTracer(graph)
        x = InPlaceProxy(graph.placeholder("x"), tracer)
        if function is operator.setitem:
            x[0] = 1
        else:
            function(x, 2)
        assert [node.target for node in graph.nodes][1:] == [function], function


STEPS = ("one", "two", "relu", "in_place", "identity", "dropout", "contiguous", "flat", "relu_", "+=", "+", "add_")


class Program(nn.Module):
    """Random steps (call, operand, operand) on what there is so far; everything is read by a head in the end."""

    def __init__(self, steps: list[tuple[str, int, int]]) -> None:
        super().__init__()
        self.steps = steps
        self.layers = nn.ModuleDict({str(i): nn.Conv3d(2, 2, 1) for i in range(len(steps))})
        self.heads = nn.ModuleList(nn.Linear(24, 3) for _ in range(len(steps) + 1))
        self.stem, self.relu, self.in_place = nn.Conv3d(2, 2, 1), nn.ReLU(), nn.ReLU(inplace=True)
        self.identity, self.dropout = nn.Identity(), nn.Dropout(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        made, flat = [self.stem(x)], [False]
        for i, (call, a, b) in enumerate(self.steps):
            u, v = made[a % len(made)], made[b % len(made)]
            was = flat[a % len(made)]
            if call in ("one", "two"):
                y = u.relu() if was else self.layers[str(i)](u)
            elif call in ("relu", "in_place", "identity", "dropout"):
                y = getattr(self, call)(u)
            elif call == "contiguous":
                y = u.contiguous()
            elif call == "flat":
                y = u.flatten(1)
            elif call == "relu_":
                y = u.relu_()
            elif was != flat[b % len(made)]:
                y = u.relu()
            elif call == "+":
                y = u + v
            elif call == "add_":
                y = u.add_(v)
            else:
                u += v
                y = u
            made.append(y)
            flat.append(was or call == "flat")
        total = None
        for y, is_flat, head in zip(made, flat, self.heads, strict=True):
            z = head(y if is_flat else y.flatten(1))
            total = z if total is None else total + z
        return total


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=6),
    st.integers(0, 2**31),
)
def test_random_programs_in_place_are_followed_or_refused_by_name(steps, seed: int) -> None:
    """The comparison with the model is a net below: it never has anything to catch."""
    torch.manual_seed(seed)
    net = Program(steps)
    found = rows(net)
    assert not any("computes something else" in row.instead for row in found)
    if all(row.supported for row in found):
        assert difference(net) < 1e-12
