"""Modules, functions and methods that change no value in evaluation, in every spelling."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.errors import GradientWarning
from qtt_hw.fixedpoint import Format
from qtt_hw.lower import reference
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare

IMAGE = Format(8, True, 7)
Call = Callable[["Net", Tensor], Tensor]


class DropPath(nn.Module):
    """Stochastic depth as networks write it."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(0.9)


class Net(nn.Module):
    """conv, what changes nothing, pool, and the head behind another spelling of a flatten."""

    def __init__(self, middle: Call, flat: Call = lambda net, x: x.flatten(1)) -> None:
        super().__init__()
        self.middle, self.flat = middle, flat
        self.conv, self.pool, self.head = nn.Conv3d(2, 4, 1), nn.AdaptiveAvgPool3d(1), nn.Linear(4, 3)
        self.layers = nn.ModuleList(
            [
                *(nn.Identity(), nn.Dropout(), nn.Dropout2d(), nn.Dropout3d()),
                *(nn.AlphaDropout(), nn.FeatureAlphaDropout(), DropPath()),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flat(self, self.pool(self.middle(self, self.conv(x)).relu())))


def _every_layer(net: Net, x: Tensor) -> Tensor:
    for layer in net.layers:
        x = layer(x)
    return x


NOTHING: dict[str, Call] = {
    "modules": _every_layer,
    "F.dropout": lambda net, x: F.dropout(x, 0.5, net.training),
    "F.dropout3d": lambda net, x: F.dropout3d(x, training=net.training, inplace=True),
    "F.alpha_dropout": lambda net, x: F.alpha_dropout(x, 0.5, net.training),
    "F.feature_alpha_dropout": lambda net, x: F.feature_alpha_dropout(x, training=net.training),
    "torch.dropout": lambda net, x: torch.dropout(x, 0.5, net.training),
    "torch.feature_dropout": lambda net, x: torch.feature_dropout(x, 0.5, net.training),
    "torch.alpha_dropout": lambda net, x: torch.alpha_dropout(x, 0.5, train=net.training),
    "torch.feature_alpha_dropout": lambda net, x: torch.feature_alpha_dropout(x, 0.5, net.training),
    "contiguous": lambda net, x: x.contiguous(memory_format=torch.channels_last_3d),
    "clone": lambda net, x: torch.clone(x.clone()),
    "to dtype": lambda net, x: x.to(torch.float32),
    "to device": lambda net, x: x.to(x.device, dtype=x.dtype).to("cpu").cpu(),
    "to memory format": lambda net, x: x.to(memory_format=torch.contiguous_format),
    "to parameter": lambda net, x: x.to(net.conv.weight).type_as(net.head.bias),
    "to result": lambda net, x: x.relu().to(x),
    "float": lambda net, x: x.double().float().type(torch.float32).type("torch.FloatTensor"),
    "type": lambda net, x: x.type(torch.FloatTensor),
    "positive": lambda net, x: torch.positive(+x),
    "no grad": lambda net, x: x.requires_grad_(False) if not net.training else x,
    "axes": lambda net, x: x.unsqueeze(2).squeeze(2)[:, :, None][:, :, 0, ..., None].squeeze(-1),
    "torch axes": lambda net, x: torch.squeeze(torch.unsqueeze(x, -1), -1).mT.mT,
    "views": lambda net, x: x.flatten(1).view_as(x).view(x.shape).reshape_as(x),
    "expand": lambda net, x: x.expand(-1, -1, -1, -1, -1).expand_as(x),
}
FLAT: dict[str, Call] = {
    "flatten": lambda net, x: torch.flatten(x, 1),
    "view": lambda net, x: x.view(x.shape[0], -1),
    "reshape": lambda net, x: torch.reshape(x, (-1, 4)),
    "squeeze": lambda net, x: x.squeeze(-1).squeeze(-1).squeeze(-1),
    "squeeze all": lambda net, x: torch.squeeze(x),
    "squeeze some": lambda net, x: x.squeeze((2, 3, 4)),
    "places": lambda net, x: x[:, :, 0, 0, 0],
    "last places": lambda net, x: x[..., 0, 0, 0],
    "select": lambda net, x: torch.select(x.select(2, 0), 2, 0).select(-1, 0),
    "mean": lambda net, x: x.mean([2, 3, 4]),
    "means": lambda net, x: torch.mean(x, dim=(-1, -2)).mean(-1),
    "module": lambda net, x: nn.Flatten()(x),
}


#: Of one sample, each with whether it would take away its batch's axis.
SQUEEZED: dict[str, tuple[Call, bool]] = {
    "all": (lambda net, x: x.squeeze(), True),
    "all, by function": (lambda net, x: torch.squeeze(x), True),
    "the first": (lambda net, x: x.squeeze(0).flatten().unsqueeze(0), True),
    "by name": (lambda net, x: torch.squeeze(x, dim=(0, 2, 3, 4)), True),
    "from the end": (lambda net, x: x.squeeze(-5).flatten().unsqueeze(0), True),
    "some": (lambda net, x: x.squeeze((2, 3, 4)), False),
    "some, by name": (lambda net, x: x.squeeze(dim=(-1, -2, -3)), False),
}


def stages(net: nn.Module) -> list[str]:
    return [stage.name for stage in prepare(net, torch.zeros(2, 2, 2, 2, 2), input_format=IMAGE).stages]


@pytest.mark.parametrize("what", NOTHING)
@pytest.mark.filterwarnings("ignore::qtt_hw.errors.DropoutWarning")
def test_what_changes_nothing_leaves_no_stage(what: str) -> None:
    assert stages(Net(NOTHING[what])) == ["conv", "pool", "head"]


def _expecting_float32(net: Net, x: Tensor) -> Tensor:
    assert x.dtype == net.conv.weight.dtype == torch.float32
    return x.to(x.dtype)


FLOAT32: dict[str, Call] = NOTHING | {
    "asserted": _expecting_float32,
    "a constant": lambda net, x: (x * torch.tensor(0.3)).float() + torch.full((4, 1, 1, 1), 0.1, dtype=torch.float32),
}


@pytest.mark.parametrize("what", FLOAT32)
@pytest.mark.filterwarnings("ignore::qtt_hw.errors.DropoutWarning")
def test_what_names_float32_is_compared_in_float64(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    exact = reference.logits
    monkeypatch.setattr(reference, "logits", lambda net, x: exact(net, x) + (0.01 if x.dtype == torch.float32 else 0))
    assert stages(Net(lambda net, x: FLOAT32[what](net, x.float())))


@pytest.mark.parametrize("what", FLAT)
@pytest.mark.filterwarnings("ignore::qtt_hw.errors.DropoutWarning")
def test_maps_of_one_position_become_vectors_in_any_spelling(what: str) -> None:
    assert stages(Net(lambda net, x: x, FLAT[what])) == ["conv", "pool", "head"]


@pytest.mark.parametrize("what", SQUEEZED)
def test_squeezes_of_one_sample_leave_its_batch(what: str) -> None:
    flat, taken = SQUEEZED[what]
    reasons = [row.instead for row in check(Net(lambda net, x: x, flat), torch.zeros(1, 2, 2, 2, 2), IMAGE)]
    assert (
        any("takes away the batch's axis too" in r and ".flatten(1)" in r for r in reasons)
        if taken
        else not any(reasons)
    )


@pytest.mark.parametrize("middle", [lambda net, x: x.detach(), lambda net, x: torch.detach(x), lambda net, x: x.data])
@pytest.mark.filterwarnings("ignore::qtt_hw.errors.DropoutWarning")
def test_gradients_that_no_longer_stop_are_told_of(middle: Call) -> None:
    with pytest.warns(GradientWarning, match=r"^(detach|getattr_1): the prepared model passes gradients on$"):
        assert stages(Net(middle)) == ["conv", "pool", "head"]


@pytest.mark.filterwarnings("ignore::qtt_hw.errors.DropoutWarning")
def test_sums_over_positions_are_means_times_their_number(inputs, assert_equal) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (16, 2, 2, 2, 2), 0)
    net = Net(lambda net, x: x.relu())
    net.pool = nn.Identity()
    net.flat = lambda net, x: x.sum((2, 3, 4))
    prepared = prepare(net, values, input_format=IMAGE)
    assert [stage.name for stage in prepared.stages] == ["conv", "sum_1", "head"]
    prepared.calibrate([values])
    assert_equal(prepared, x, values)


def test_what_changes_values_is_refused() -> None:
    for middle, text in (
        (lambda net, x: x.half().float(), "converts to torch.float16, which is not followed"),
        (lambda net, x: x.to(torch.int32).float(), "converts to torch.int32, which is not followed"),
        (lambda net, x: x.type("torch.DoubleTensor").bfloat16().float(), "converts to torch.bfloat16"),
        (lambda net, x: x[:, :, :1, 0][:, :, None], "takes single places or lists of them"),
        (lambda net, x: x.select(2, 1)[:, :, None], "takes a single place of several"),
        (lambda net, x: x.expand(2, 4, 2, 2, 2) + x.sum(1, keepdim=True), "takes the sum over axes of [N, C, D, H, W]"),
        (lambda net, x: x[0][None], "takes some samples of a batch"),
    ):
        found = [row.instead for row in check(Net(middle), torch.zeros(2, 2, 2, 2, 2), IMAGE) if not row.supported]
        assert any(text in reason for reason in found), (text, found)
