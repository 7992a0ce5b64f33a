"""check lists every layer and raises for none."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.check import Row, check
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn import PairMaxPool3d, Subsample, TTConv3d, TTLinear


def rows(*layers: nn.Module) -> list[tuple[str, str, bool]]:
    return [(r.layer, r.type, r.supported) for r in check(nn.Sequential(*layers), torch.zeros(1, 1, 4, 4, 4))]


def test_supported_layers_are_all_listed() -> None:
    layers = (nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(16, 3))
    assert rows(*layers) == [(str(i), type(layer).__name__, True) for i, layer in enumerate(layers)]


def test_layers_behind_an_unsupported_one_are_judged_on_their_own() -> None:
    found = rows(
        nn.Conv3d(1, 2, 3, groups=1),
        nn.LocalResponseNorm(2),
        nn.ReLU(),
        nn.Conv3d(2, 4, 2, padding_mode="circular"),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.MaxPool3d(1),
        nn.Conv3d(4, 4, 1),
        nn.Flatten(),
        nn.Linear(4, 2),
        nn.BatchNorm1d(2),
    )
    assert [name for name, _, supported in found if not supported] == ["1", "3"]
    assert len(found) == 11


def test_rows_say_what_to_use_instead() -> None:
    found = check(nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.Softmax(0)), torch.zeros(1, 1, 4, 4, 4))
    assert found[-1] == Row(
        layer="2",
        type="Softmax",
        supported=False,
        instead="acts on the samples of a batch together, which is not supported",
    )
    assert found[0].instead == ""


def test_faults_of_the_whole_model_are_rows_too() -> None:
    class Branchy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    (row,) = check(Branchy(), torch.zeros(1, 1, 4, 4, 4))
    assert (row.layer, row.type, row.supported) == ("", "Branchy", False) and "cannot be traced" in row.instead
    found = check(nn.Sequential(nn.Conv3d(1, 2, 3)), torch.zeros(1, 1, 4, 4, 4))
    assert [(r.layer, r.supported) for r in found] == [("0", True), ("", False)]


def test_pools_that_cannot_be_exact_are_found() -> None:
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.AvgPool3d((1, 1, 4)), nn.Flatten(), nn.Linear(32, 2))
    assert all(r.supported for r in check(net, torch.zeros(1, 1, 4, 4, 4)))


def _pairs(u: Tensor) -> Tensor:
    left, right = u.chunk(2, 1)
    return left * right


def _cleared(u: Tensor) -> Tensor:
    u = u + 0
    u[:, :1] = 0
    return u


def _summed(u: Tensor, v: Tensor) -> Tensor:
    u += v
    return u


#: Calls of every kind, followed or not, that a forward may make anywhere: of two results, with layers made for them.
CALLS: dict[str, Callable[["Anything", str, Tensor, Tensor], Tensor]] = {
    "conv": lambda net, key, u, v: net.layer(key, lambda: nn.Conv3d(u.shape[1], 4, 3, padding=1))(u),
    "conv2d": lambda net, key, u, v: net.layer(key, lambda: nn.Conv2d(u.shape[1], 4, 1))(u),
    "grouped": lambda net, key, u, v: net.layer(key, lambda: nn.Conv3d(4, 4, 1, groups=2))(u),
    "linear": lambda net, key, u, v: net.layer(key, lambda: nn.Linear(u.shape[-1], 4))(u),
    "tt": lambda net, key, u, v: net.layer(key, lambda: TTConv3d(u.shape[1], 4, 1, 2))(u),
    "tt linear": lambda net, key, u, v: net.layer(key, lambda: TTLinear((2, u.shape[-1] // 2), (2, 2), 2))(u),
    "norm": lambda net, key, u, v: net.layer(key, lambda: nn.BatchNorm3d(u.shape[1]))(u),
    "norm1d": lambda net, key, u, v: net.layer(key, lambda: nn.BatchNorm1d(u.shape[1]))(u),
    "layer norm": lambda net, key, u, v: net.layer(key, lambda: nn.LayerNorm(u.shape[-1]))(u),
    "recurrent": lambda net, key, u, v: net.layer(key, lambda: nn.GRU(u.shape[-1], 4))(u)[0],
    "relu": lambda net, key, u, v: net.layer(key, lambda: nn.ReLU(inplace=True))(u),
    "gelu": lambda net, key, u, v: F.gelu(u),
    "subsample": lambda net, key, u, v: net.layer(key, lambda: Subsample(u.shape[1], u.shape[1] + 1, 2))(u),
    "max": lambda net, key, u, v: net.layer(key, lambda: nn.MaxPool3d(2))(u),
    "mean": lambda net, key, u, v: net.layer(key, lambda: nn.AdaptiveAvgPool3d(1))(u),
    "pair": lambda net, key, u, v: net.layer(key, lambda: PairMaxPool3d(2, padding="same"))(u),
    "flatten": lambda net, key, u, v: net.layer(key, lambda: nn.Flatten())(u),
    "flat axes": lambda net, key, u, v: u.flatten(2),
    "permute": lambda net, key, u, v: u.permute(0, 2, 3, 4, 1),
    "view": lambda net, key, u, v: u.reshape(u.shape[0], -1, 4),
    "sizes": lambda net, key, u, v: u.view(u.size(0), -1),
    "unsqueeze": lambda net, key, u, v: u.unsqueeze(-1),
    "squeeze": lambda net, key, u, v: u.squeeze(2),
    "reduce": lambda net, key, u, v: u.mean(1, keepdim=True),
    "slice": lambda net, key, u, v: u[:, :2],
    "pairs": lambda net, key, u, v: _pairs(u),
    "set": lambda net, key, u, v: _cleared(u),
    "concatenate": lambda net, key, u, v: torch.cat([u, v], 1),
    "stack": lambda net, key, u, v: torch.stack([u, v], 2),
    "sum of a stack": lambda net, key, u, v: torch.stack([u, v, u], -1).sum(-1),
    "maximum of an axis": lambda net, key, u, v: u.max(-1)[0],
    "add": lambda net, key, u, v: u + v,
    "add in place": lambda net, key, u, v: _summed(u, v),
    "add a number": lambda net, key, u, v: u + 1,
    "multiply": lambda net, key, u, v: torch.mul(u, v),
    "matrix": lambda net, key, u, v: u @ v.transpose(-1, -2),
    "upsample": lambda net, key, u, v: F.interpolate(u, scale_factor=2),
    "where": lambda net, key, u, v: torch.where(u > 0, u, v),
    "scale": lambda net, key, u, v: u * net.scale,
    "softmax": lambda net, key, u, v: u.softmax(1),
    "cast": lambda net, key, u, v: u.double().float(),
    "detach": lambda net, key, u, v: u.data,
    "branch": lambda net, key, u, v: u if u.shape[1] > 2 else v,
}
NAMES = st.text(st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1, max_size=6)


class Anything(nn.Module):
    """A random program of calls under odd names; its layers are made by the first run, which skips what cannot be."""

    def __init__(self, program: list[tuple[str, int, int, str]], example: Tensor) -> None:
        super().__init__()
        self.program, self.skipped = program, set()
        self.scale = nn.Parameter(torch.ones(1))
        self.made = False
        with torch.no_grad():
            self(example)
        self.made = True

    def layer(self, key: str, make: Callable[[], nn.Module]) -> nn.Module:
        if not self.made:
            self.add_module(key, make().eval())
        return self.get_submodule(key)

    def forward(self, x: Tensor) -> Tensor:
        results = [self.layer("stem of all", lambda: nn.Conv3d(x.shape[1], 4, 1))(x)]
        for index, (call, a, b, name) in enumerate(self.program):
            if index in self.skipped:
                continue
            operands = results[-1 - a % len(results)], results[-1 - b % len(results)]
            if self.made:
                results.append(CALLS[call](self, f"{name}{index}", *operands))
                continue
            try:
                results.append(CALLS[call](self, f"{name}{index}", *operands))
                results[-1].flatten(1)  # of one axis there is no head behind it
            except Exception:
                del results[1 + index - len(self.skipped) :]
                self.skipped.add(index)
        flat = results[-1].flatten(1)
        return self.layer("head of all", lambda: nn.Linear(flat.shape[-1], 3))(flat)


PROGRAMS = st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.integers(0, 3), st.integers(0, 3), NAMES), max_size=6)


@pytest.mark.filterwarnings("ignore::qtt_hw.errors.GradientWarning")
@settings(max_examples=50)
@example([("max", 0, 0, "0"), ("add in place", 0, 0, "0"), ("add a number", 2, 0, "0")], 0)  # a sum that nothing reads
@given(PROGRAMS, st.integers(0, 2**31))
def test_any_calls_anywhere_give_rows_and_no_traceback(program: list, seed: int) -> None:
    _judge(program, seed)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::qtt_hw.errors.GradientWarning")
@settings(max_examples=500)
@given(PROGRAMS, st.integers(0, 2**31))
def test_more_calls_anywhere(program: list, seed: int) -> None:
    _judge(program, seed)


def _judge(program: list, seed: int) -> None:
    torch.manual_seed(seed)
    example = torch.zeros(1, 2, 2, 4, 4)
    net = Anything(program, example)
    rows = check(net, example)
    assert rows and not any("computes something else" in row.instead or "\n" in row.instead for row in rows)
    if all(row.supported for row in rows):
        prepared = prepare(net, example)
        prepared.calibrate([torch.randint(0, 2, (4, 2, 2, 4, 4)).float()])
        assert freeze(prepared, input_spec((2, 4, 4, 2))).nodes
        return
    with pytest.raises(ValueError) as caught:
        prepare(net, example)
    assert "\n" not in str(caught.value)


def test_a_linear_layer_behind_calls_that_are_not_followed_is_judged_on_its_own() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = nn.Conv3d(1, 6, 1), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(self.conv(x).view(1, 6, 8).cumsum(1).std(1))

    found = [(row.layer, row.supported) for row in check(Net(), torch.zeros(1, 1, 2, 2, 2))]
    assert found == [("conv", True), ("view", True), ("cumsum", False), ("std", False), ("linear", True)]
