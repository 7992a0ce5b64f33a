"""Layers written as functions on parameters of the user's own module."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)


class Functional(nn.Module):
    """Nothing but parameters, buffers and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.offset = nn.Parameter(torch.randn(4, 2, 3, 3, 3) / 5), nn.Parameter(torch.randn(4) / 5)
        self.point = nn.Parameter(torch.randn(3, 4, 1, 1, 1))
        self.gain, self.shift = nn.Parameter(torch.rand(3) + 0.5), nn.Parameter(torch.randn(3))
        self.register_buffer("mean", torch.randn(3))
        self.register_buffer("var", torch.rand(3) + 0.5)
        self.rows = nn.Parameter(torch.randn(3, 3 * 12) / 6)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(F.conv3d(x, self.kernel, self.offset, padding=1))
        y = F.conv3d(F.dropout(y, 0.5, self.training), self.point, stride=(1, 1, 2))
        y = F.batch_norm(y, self.mean, self.var, self.gain, self.shift, self.training, 0.1, 1e-3)
        return F.linear(F.relu(y).flatten(1), self.rows)


def test_they_are_followed_with_a_row_each(inputs, assert_equal) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (4, 2, 3, 4, 2), 1)
    rows = check(Functional(), values, IMAGE)
    assert all(row.supported for row in rows)
    kinds = ["conv3d", "relu", "dropout", "conv3d", "batch_norm", "relu", "flatten", "linear"]
    assert [row.type for row in rows] == kinds
    prepared = prepare(Functional(), values, QuantConfig(weight_bits=8), IMAGE)
    assert [stage.name for stage in prepared.stages] == ["conv3d", "conv3d_1", "linear"]
    prepared.calibrate([values])
    assert_equal(prepared, np.asarray(x), values)


def test_weights_that_two_calls_share_are_refused() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.point = nn.Parameter(torch.randn(2, 2, 1, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return F.conv3d(F.conv3d(x, self.point).relu(), self.point).flatten(1)

    with pytest.raises(ValueError, match="shares its weight with conv3d, which is not supported; a copy of it would"):
        prepare(Net(), torch.zeros(2, 2, 1, 1, 1), input_format=IMAGE)


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (
            lambda net, x: F.conv3d(x, net.kernel * 2, padding=1),
            "is computed of the parameter kernel, which would not be trained by it; keep the result as the parameter",
        ),
        (
            lambda net, x: F.conv3d(F.conv3d(x, net.kernel, padding=1)[:, [1, 0]], net.kernel, padding=1),
            "takes single places or lists of them, which is not supported; slices are",
        ),
        (
            lambda net, x: F.dropout(F.conv3d(x, net.kernel, padding=1), 0.1),
            "drops in evaluation too, which is not supported; with training=self.training it is followed",
        ),
        (
            lambda net, x: F.batch_norm(F.conv3d(x, net.point[:, :2]), net.mean, net.var, training=True),
            "is computed of the parameter point, which would not be trained by it; keep the result as the parameter",
        ),
    ],
)
def test_what_is_not_a_layer_is_refused_by_name(forward, text: str) -> None:
    class Net(Functional):
        def forward(self, x: Tensor) -> Tensor:
            return forward(self, x).flatten(1)

    reasons = [row.instead for row in check(Net(), torch.zeros(2, 2, 2, 3, 4), IMAGE) if not row.supported]
    assert any(text in reason for reason in reasons), reasons
