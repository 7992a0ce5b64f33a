"""Batch norm: PyTorch's in training, a bounded affine map when folded."""

import logging

import pytest
import torch
from torch import nn

from qtt_hw.fixedpoint import Format, fold_batch_norm
from qtt_hw.quant import BatchNorm

OUT = Format(8, True, 5)


def test_training_is_pytorchs() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3, eps=1e-3, momentum=0.2), nn.BatchNorm3d(3, eps=1e-3, momentum=0.2)
    for _ in range(2):
        x = torch.randn(4, 3, 2, 3, 4) * 3 + 1
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_mean, theirs.running_mean)
    assert torch.equal(ours.running_var, theirs.running_var)


def test_affine_is_the_map_of_the_running_statistics() -> None:
    norm = BatchNorm(2, eps=0.25)
    norm.set_statistics(torch.tensor([1.0, -2.0]), torch.tensor([0.75, 3.75]))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([3.0, -4.0]))
        norm.bias.copy_(torch.tensor([0.5, 0.25]))
    slope, intercept = norm.affine(3, OUT)
    assert slope.tolist() == [3.0, -2.0] and intercept.tolist() == [-2.5, -3.75]
    (slope.sum() + intercept.sum()).backward()
    # d/dgamma of slope + intercept is (1 - mu) / sigma.
    assert norm.weight.grad.tolist() == [0.0, 1.5] and norm.bias.grad.tolist() == [1.0, 1.0]


def test_a_nearly_constant_channel_does_not_cost_the_others_their_bits() -> None:
    norm = BatchNorm(4, eps=0.0)
    norm.set_statistics(torch.zeros(4), torch.tensor([1.0, 1.0, 1.0, 0.0]))
    slope, intercept = norm.affine(0, OUT)
    assert slope.tolist() == [1.0, 1.0, 1.0, 64.0]
    requant = fold_batch_norm(slope.detach().numpy(), intercept.detach().numpy(), 0, OUT)
    assert min(requant.multiplier or ()) >= 1 << 8


def test_bounded_channels_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    norm = BatchNorm(3, eps=1e-12)
    with caplog.at_level(logging.INFO):
        assert norm.report("layer") == 0 and not caplog.records
        norm.set_statistics(torch.zeros(3), torch.tensor([1.0, 0.0, 1.0]))
        assert norm.report("layer") == 1
    assert "layer: sigma of 1 of 3 channels" in caplog.text


@pytest.mark.parametrize("acc_frac", [-20, 0, 30])
@pytest.mark.parametrize("out", [Format(8, True, 20), Format(16, True, -4), OUT])
def test_any_statistics_fit_the_requantiser(acc_frac: int, out: Format) -> None:
    norm = BatchNorm(3)
    norm.set_statistics(torch.tensor([1e9, -1e9, 0.0]), torch.tensor([0.0, 1e-9, 1e-9]))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1e4, -1e4, 1.0]))
    slope, intercept = norm.affine(acc_frac, out)
    fold_batch_norm(slope.detach().numpy(), intercept.detach().numpy(), acc_frac, out)
